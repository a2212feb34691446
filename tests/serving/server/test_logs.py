import json
import logging
import re
import sys
from typing import Any

import pytest

from container_component_src.serving.server.logs import MOST_BYTES, json_formatter


def line(message: str, *arguments: object, exc_info: Any = None, **extra: object) -> dict[str, Any]:
    record = logging.getLogger("some.logger").makeRecord(
        "some.logger", logging.INFO, "file.py", 1, message, arguments, exc_info, extra=extra
    )
    content: dict[str, Any] = json.loads(json_formatter().format(record))
    return content


def test_a_log_line_has_the_fields_of_the_record_and_of_extra() -> None:
    content = line("rows: %d", 3, request_id="abc", color_message="rows")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", content.pop("time"))
    assert isinstance(content.pop("process"), int)
    assert content == {"level": "INFO", "logger": "some.logger", "message": "rows: 3", "request_id": "abc"}


def test_a_log_line_about_an_error_has_its_traceback() -> None:
    try:
        raise ValueError("unreadable")
    except ValueError:
        content = line("request failed", exc_info=sys.exc_info())
    assert content["traceback"].endswith("ValueError: unreadable")
    assert "exc_info" not in content


@pytest.mark.parametrize("text", ["x" * 5000, "\x00" * 5000, "ä€😀" * 5000, '"' * 5000], ids=["a", "0", "ä", "quote"])
def test_a_line_is_short_and_keeps_start_and_end_of_its_texts(text: str) -> None:
    found = {"request_id": "abc", "error": f"start {text} end", "rows": 3}
    content = line(f"first {text} last", **found)
    assert len(json.dumps(content, ensure_ascii=False).encode()) <= MOST_BYTES
    assert content["error"].startswith("start ")
    assert content["error"].endswith(" end")
    assert content["message"].startswith("first ")
    assert content["message"].endswith(" last")
    assert (content["request_id"], content["rows"], content["level"]) == ("abc", 3, "INFO")


def test_a_line_with_many_fields_is_short() -> None:
    fields = {f"field_{number}": "x" * 100 for number in range(50)}
    assert len(json.dumps(line("x" * 100, **fields)).encode()) <= 2 * MOST_BYTES


def test_a_value_that_json_cannot_hold_is_logged_as_text() -> None:
    assert line("x", path=object)["path"] == "<class 'object'>"
