"""Structured logs of the servers: one JSON object per line on stdout."""

import logging
import sys
import time

import orjson


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger and message, and the fields that a record has in `extra={"fields": ...}`."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        content: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(content, default=str).decode()


def install() -> None:
    """Write all logs of this process in this form; requests are logged by their handler and not once more."""
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter())
    for chatty in ("uvicorn.access", "kserve.trace", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
