import logging

import pytest

from container_component_src.once import WarnOnce


def test_a_warning_is_logged_once_for_its_text_or_its_key(caplog: pytest.LogCaptureFixture) -> None:
    warn = WarnOnce(logging.getLogger(__name__))
    for number in range(2):
        warn("the same")
        warn(f"attempt {number}", "attempt")
    assert caplog.messages == ["the same", "attempt 0"]
