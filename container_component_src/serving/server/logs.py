"""Structured logs of the servers: one JSON object per line on stdout."""

import logging
import sys
import time
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from container_component_src.serving.server.texts import shortened

MOST_BYTES = 2048  # of a line
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "process": "process", "message": "message"}


class ShortFormatter(OrjsonFormatter):
    """Writes lines of at most `MOST_BYTES`, in which long texts lack their middle."""

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the line of a record."""
        line, length = super().jsonify_log_record(log_data), MOST_BYTES
        while len(line.encode()) > MOST_BYTES and length > 1:
            length //= 2
            short = {
                name: value if isinstance(value, (int, float)) else shortened(str(value), length)
                for name, value in log_data.items()
            }
            line = super().jsonify_log_record(short)
        return line


def json_formatter() -> logging.Formatter:
    """Return a formatter that writes time (UTC), level, logger, process, message, `extra` and the traceback."""
    formatter = ShortFormatter(
        tuple(_NAMES),
        rename_fields={**_NAMES, "exc_info": "traceback"},
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's messages with terminal colours
        json_default=str,
    )
    formatter.converter = time.gmtime
    formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    return formatter


def install() -> None:
    """Write all logs of this process as JSON. The servers log requests themselves, so libraries do not."""
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(json_formatter())
    for chatty in ("uvicorn.access", "kserve.trace", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
