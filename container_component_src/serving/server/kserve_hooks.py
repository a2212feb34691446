"""The one place that replaces parts of KServe or reads its private attributes; written for KServe 0.21.

KServe has no extension point for what the servers need:

* Worker processes may take minutes to start. KServe kills a worker that does not answer within five seconds.
* An application of our own answers inference requests. KServe serves `kserve.model_server.app` and no other.
* A transformer whose predictor is away is not ready (503). KServe answers 500.
* The model cannot be loaded or unloaded by requests.
* A refused request is one log line. KServe logs a traceback and the level ERROR, even for a failed probe.
* The binary data of gRPC tensors are read as they are. KServe offers them as lists of Python numbers only.

KServe parses `sys.argv` when it is imported, so its own arguments (`--workers`, ...) need no code here. Import this
module only in a process that serves.
"""

import logging
import time
from typing import Any

import httpx
from fastapi import FastAPI
from kserve import InferRequest, ModelServer, errors, model_server
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.multiprocess import server as multiprocess_server

from container_component_src.errors import StepError

ARGUMENTS = model_server.args  # KServe's own arguments on the command line of this process
KSERVE_APP = model_server.app  # until `install` replaces it
FIXED_MODEL = "this server loads its one model when it starts"
_START_SECONDS = 300.0  # for a worker to import the libraries and load the bundle on a slow machine
_REFUSALS = (  # KServe answers these with 4xx, 501 or 503
    errors.InvalidInput,
    errors.ModelNotFound,
    errors.ModelNotReady,
    errors.ServerNotLive,
    errors.ServerNotReady,
    errors.UnsupportedProtocol,
    NotImplementedError,
)


class SlowStartProcess(multiprocess_server.RESTServerProcess):
    """A worker process whose first answer to a ping may come late."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start_by = time.monotonic() + _START_SECONDS
        self._asked = self._answered = False

    def ping(self, timeout: float = 5) -> bool:
        """Return whether the process answers or is still starting."""
        if self._answered or time.monotonic() > self._start_by:
            return bool(super().ping(timeout))
        if not self._asked:
            self._parent_conn.send(b"ping")
            self._asked = True
        if self._parent_conn.poll():
            self._answered = self._parent_conn.recv() == b"pong"
        return True


class FixedRepository(ModelRepositoryExtension):
    """A repository whose one model cannot be loaded or unloaded by requests."""

    async def load(self, model_name: str) -> None:
        """Refuse the request."""
        raise errors.InvalidInput(FIXED_MODEL)

    unload = load


class ReadinessDataPlane(DataPlane):
    """KServe's request handling, in which a server whose predictor is away is not ready."""

    async def ready(self) -> bool:
        """Return whether the server can answer."""
        try:
            return bool(await super().ready())
        except httpx.HTTPError:
            return False


class UnavailableError(errors.ServerNotReady):
    """The predictor cannot score now. KServe's gRPC server reads `reason`, which KServe's own class lacks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusalFilter(logging.Filter):
    """Turns KServe's log records about refused requests into one line of level INFO without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record if it is about a refused request; keep every record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, _REFUSALS):
            record.msg, record.args = f"request refused: {error}", ()
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            record.exc_info = None
        return True


def install(app: FastAPI) -> None:
    """Make KServe serve an application of our own, in workers that may start slowly.

    Args:
        app: Takes the place of KServe's application. KServe adds its routes to it.

    Raises:
        StepError: The installed KServe lacks a name that is replaced here.
    """
    logging.getLogger("kserve").addFilter(RefusalFilter())
    for owner, name, replacement in (
        (model_server, "app", app),
        (multiprocess_server, "RESTServerProcess", SlowStartProcess),
    ):
        if not hasattr(owner, name):
            raise StepError(
                f"kserve has no {owner.__name__}.{name}", fix="install the kserve release in requirements.txt"
            )
        setattr(owner, name, replacement)


def adapt(server: ModelServer) -> None:
    """Give a server the readiness and the repository of this module, before it starts."""
    server.dataplane = ReadinessDataPlane(server.registered_models)
    server.model_repository_extension = FixedRepository(server.registered_models)


def raw_contents(request: InferRequest) -> list[bytes | None]:
    """Return the binary data of each input of a gRPC request; None for inputs with typed contents."""
    return [item._raw_data for item in request.inputs]
