"""Fixtures that all tests share: a clean environment, and the command line as a process or a call."""

import gc
import logging
import os
import signal
import subprocess
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from hypothesis import settings

from container_component_src.backends.local.processes import free_ports
from container_component_src.cluster import step
from container_component_src.main import main
from tests.helpers import Invoke, Outcome, RunCommand

# A shell that runs the tests in the background lets them ignore Ctrl-C, and so would every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from distributed import Client
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

PROJECT = Path(__file__).resolve().parents[1]
# They use the fixture `service`.
SERVER_TESTS = {
    f"tests/serving/server/test_{name}.py" for name in ("app", "fuzzed_requests", "grpc_server", "operation")
}

# The machine that runs the tests may be busy: slowness is no fault of an example.
settings.register_profile("fast", deadline=None, max_examples=5)
settings.register_profile("project", deadline=None, max_examples=15)
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))

# The search for garbage takes a third of the time in which the libraries are imported, and finds none.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first, the slowest before all, so that no worker is left alone with one in the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_end_to_end.py", item.path not in slow))
    for item in items:
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip("there is no GPU"))


@cache
def _has_gpu() -> bool:
    import torch  # slow, and only where a test asks for a GPU

    return torch.cuda.is_available()


@pytest.hookimpl(optionalhook=True)  # there may be no xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling":
    """Let one worker run all tests of the servers, so that they start once and not in every worker."""
    from xdist.scheduler import LoadFileScheduling

    scheduling = LoadFileScheduling(config, log)
    file_of = scheduling._split_scope
    scheduling._split_scope = lambda nodeid: "servers" if (file := file_of(nodeid)) in SERVER_TESTS else file
    return scheduling


def pytest_collection_finish() -> None:
    """Before the first test, make matrix products strict, and search for garbage again.

    What is imported is not searched, and new objects less often than Python does.
    """
    if "torch" in sys.modules:
        from container_component_src.model.reproducible import use_strict_products

        use_strict_products()
    gc.freeze()
    gc.set_threshold(20_000, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("S3_", "AWS_", "PIPELINE_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(step, "NAMESPACE_FILE", PROJECT / "no-pod")  # tests may run in one
    monkeypatch.setenv("S3_RETRY_SECONDS", "1")  # a store that is away is away for good


@pytest.fixture(autouse=True, scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients trust one public authority: none signs for a test, and to read all is slower than most requests."""
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    certificate, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    file.write_text(certificate + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        yield


@pytest.fixture(autouse=True, scope="session")
def kept_levels() -> Iterator[None]:
    """Let a logger that gets the level it has do nothing: every object of the Kubernetes client sets levels again.

    Otherwise all loggers, of which the tests have a thousand, forget what they know about levels each time.
    """
    set_level = logging.Logger.setLevel

    def set_another(logger: logging.Logger, level: int | str) -> None:
        if level != logger.level:
            set_level(logger, level)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.Logger, "setLevel", set_another)
        yield


@pytest.fixture
def run_command(tmp_path: Path) -> RunCommand:
    """`main.py` as a process of its own, in a working directory outside the project."""

    def run(*arguments: object, before_start: Callable[[], None] | None = None) -> Outcome:
        done = subprocess.run(
            [sys.executable, str(PROJECT / "container_component_src" / "main.py"), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=before_start,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Iterator[Invoke]:
    """`main.py` as a call in this process: the same exit code and output, without the time of a start."""
    handler, show_warning = signal.getsignal(signal.SIGTERM), warnings.showwarning

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield call
    signal.signal(signal.SIGTERM, handler)
    logging.captureWarnings(False)
    warnings.showwarning = show_warning


@pytest.fixture
def free_port() -> int:
    """A port of this machine on which nothing listens."""
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def dask_client() -> Iterator["Client"]:
    """A Dask client whose workers are threads of this process."""
    import dask
    from distributed import Client

    from container_component_src.dask_preprocessor.cluster import DASK_SETTINGS

    with (
        dask.config.set(DASK_SETTINGS),
        Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as client,
    ):
        yield client


@pytest.fixture
def thread_backend(monkeypatch: pytest.MonkeyPatch, dask_client: "Client") -> None:
    """The local backend hands out the client of `dask_client` instead of starting processes."""

    @contextmanager
    def shared(self: object, spec: object) -> Iterator["Client"]:
        yield dask_client

    monkeypatch.setattr("container_component_src.backends.local.LocalBackend.dask_client", shared)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Host and port of an S3 server that speaks HTTP."""
    from botocore import session
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        # Otherwise every client reads the description of S3 again, most of the time that it takes to make one.
        patch.setattr(session, "create_loader", cache(session.create_loader))
        # Otherwise two threads may both find that an object has the version that they replace.
        put, one_at_a_time = S3Response.put_object, Lock()

        def put_alone(response: S3Response) -> Any:
            with one_at_a_time:
                return put(response)

        patch.setattr(S3Response, "put_object", put_alone)
        yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """URI of a new bucket; the environment leads there."""
    import s3fs

    monkeypatch.setenv("S3_ENDPOINT", f"http://{s3_endpoint}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    name = f"bucket-{uuid.uuid5(uuid.NAMESPACE_URL, request.node.nodeid)}"
    s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=f"http://{s3_endpoint}").mkdir(name)
    return f"s3://{name}"
