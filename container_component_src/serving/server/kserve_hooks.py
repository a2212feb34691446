"""The one place that replaces parts of KServe or reads its private attributes; written for KServe 0.21.

KServe has no extension point for what the servers need:

* Worker processes may take minutes to start. KServe kills a worker that does not answer within five seconds.
* An application of our own answers inference requests. KServe serves `kserve.model_server.app` and no other.
* Connections and calls have limits, and a refused request is one log line (`http_server`, `grpc_server`).
* A transformer whose predictor is away is not ready (503). KServe answers 500.
* The model cannot be loaded or unloaded by requests.
* HTTP and gRPC stop at the same time, and the process ends even if a thread does not.
* A single process has the event loop that uvicorn prefers, uvloop, as worker processes do. KServe takes asyncio's.
* The binary data of gRPC tensors are read as they are. KServe offers them as lists of Python numbers only.

KServe parses `sys.argv` when it is imported, so its own arguments (`--workers`, ...) need no code here. Import this
module only in a process that serves.
"""

import asyncio
import faulthandler
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI
from kserve import InferRequest, ModelServer, errors, model_server
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.multiprocess import server as multiprocess_server
from uvicorn import Config

from container_component_src.errors import StepError
from container_component_src.serving.protocol.process import GRACE_PERIOD
from container_component_src.serving.server.grpc_server import LimitedGRPCServer
from container_component_src.serving.server.http_server import LimitedRESTServer

ARGUMENTS = model_server.args  # KServe's own arguments on the command line of this process
KSERVE_APP = model_server.app  # until `install` replaces it
FIXED_MODEL = "this server loads its one model when it starts"
FINISH_SECONDS = GRACE_PERIOD * 5 // 6  # for requests; the rest of the grace period is for the end of the process
_START_SECONDS = 300.0  # for a worker to import the libraries and load the bundle on a slow machine


def unknown_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command line that KServe does not know."""
    unknown: list[str] = model_server.parser.parse_known_args(arguments)[1]
    return unknown


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


class UvicornLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes the event loops that uvicorn would."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop."""
        make = Config(KSERVE_APP, loop=ARGUMENTS.event_loop, log_config=None).get_loop_factory()
        return super().new_event_loop() if make is None else make()


class StoppableModelServer(ModelServer):
    """KServe's model server with the readiness and the repository of this module, which ends in time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(grace_period=FINISH_SECONDS, **options)
        self.dataplane = ReadinessDataPlane(self.registered_models)
        self.model_repository_extension = FixedRepository(self.registered_models)
        self._stopping = False

    def register_signal_handler(self) -> None:
        """Hear of a signal that uvicorn takes; it passes it on to `stop` only when it has stopped."""
        super().register_signal_handler()
        if self._rest_server is not None:
            self._rest_server.on_stop(self._begin_to_stop)

    def stop(self, sig: int) -> None:
        """Stop all servers."""
        self._begin_to_stop(sig)
        super().stop(sig)

    def _begin_to_stop(self, sig: int) -> None:
        """Stop gRPC, and end the process after the grace period, whatever its threads are doing."""
        if self._stopping:
            return
        self._stopping = True
        faulthandler.dump_traceback_later(GRACE_PERIOD, exit=True)  # by a thread that needs no Python
        if self._grpc_server is not None:
            asyncio.get_running_loop().create_task(self._grpc_server.stop(sig))


def install(app: FastAPI, read_timeout: float, most_calls: int, most_fields: int) -> None:
    """Make KServe serve an application of our own, with limits, in workers that may start slowly.

    Args:
        app: Takes the place of KServe's application. KServe adds its routes to it.
        read_timeout: Seconds that a client has for a part of a request.
        most_calls: Number of calls over gRPC at a time.
        most_fields: Number of fields of a gRPC message above which it is not read.

    Raises:
        StepError: The installed KServe lacks a name that is replaced here.
    """
    grpc_server = partial(LimitedGRPCServer, read_timeout=read_timeout, most_calls=most_calls, most_fields=most_fields)
    rest_server = partial(LimitedRESTServer, read_timeout=read_timeout)
    asyncio.set_event_loop_policy(UvicornLoopPolicy())
    for owner, name, replacement in (
        (model_server, "app", app),
        (model_server, "RESTServer", rest_server),
        (model_server, "GRPCServer", grpc_server),
        (multiprocess_server, "RESTServer", rest_server),
        (multiprocess_server, "RESTServerProcess", SlowStartProcess),
    ):
        if not hasattr(owner, name):
            raise StepError(
                f"kserve has no {owner.__name__}.{name}", fix="install the kserve release in requirements.txt"
            )
        setattr(owner, name, replacement)


def raw_contents(request: InferRequest) -> list[bytes | None]:
    """Return the binary data of each input of a gRPC request; None for inputs with typed contents."""
    return [item._raw_data for item in request.inputs]
