import json
import logging
import re
import sys
from typing import Any

from container_component_src.serving.server.logs import json_formatter


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


def test_a_value_that_json_cannot_hold_is_logged_as_text() -> None:
    assert line("x", path=object)["path"] == "<class 'object'>"
