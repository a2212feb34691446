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


class RefusalFilter(logging.Filter):
    """Turns what KServe writes of a request that it refuses into one line; it adds a traceback even to a failed probe.

    Args:
        refusals: The errors that KServe answers with 4xx, 501 or 503.
    """

    def __init__(self, refusals: tuple[type[Exception], ...]) -> None:
        super().__init__()
        self._refusals = refusals

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record where it is about such an error."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, self._refusals):
            record.msg, record.args = f"request refused: {error}", ()
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            record.exc_info = None
        return True


def install() -> None:
    """Write all logs of this process in this form; requests are logged by their handler and not once more."""
    from kserve import errors  # noqa: PLC0415 - it reads the command line

    logging.getLogger("kserve").addFilter(
        RefusalFilter(
            (
                errors.InvalidInput,
                errors.ModelNotFound,
                errors.ModelNotReady,
                errors.ServerNotLive,
                errors.ServerNotReady,
                errors.UnsupportedProtocol,
                NotImplementedError,
            )
        )
    )
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter())
    for chatty in ("uvicorn.access", "kserve.trace", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
