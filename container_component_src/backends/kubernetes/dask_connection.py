"""KubeCluster and its client, with the repetitions and the ends that they lack."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import TypeVar

import httpx
import kr8s
from dask_kubernetes.operator import KubeCluster
from distributed import Client

from container_component_src.dask_preprocessor.cluster import ClusterSpec
from container_component_src.errors import StepError

CONNECT_TIMEOUT = 300.0  # seconds to reach a scheduler that is ready
PAUSE = 2.0  # seconds between attempts
_ATTEMPTS = 5
_LASTING = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_REFUSALS = (kr8s.ServerError, kr8s.NotFoundError, kr8s.APITimeoutError, httpx.HTTPError, OSError, ValueError)

T = TypeVar("T")


@contextmanager
def connected(name: str, namespace: str) -> Iterator[tuple[KubeCluster, Client]]:
    """A cluster as Dask sees it, and a client of it; it is not deleted with this connection.

    Args:
        name: Of a DaskCluster whose scheduler is ready.
        namespace: Where it is.

    Raises:
        StepError: The API refuses something, or the scheduler cannot be reached in time.
    """

    def connect() -> KubeCluster:
        return _in_time(
            lambda: KubeCluster.from_name(name, namespace=namespace, quiet=True),
            f"the scheduler of Dask cluster {name} to answer; see that no network policy keeps pods apart",
        )

    with ExitStack() as stack:
        kube = stack.enter_context(_tried(connect, f"connect to Dask cluster {name}", "see docs/cluster.md"))
        dask = stack.enter_context(_tried(lambda: Client(kube), f"reach Dask cluster {name}", "run the step again"))
        yield kube, dask


def scale(kube: KubeCluster, spec: ClusterSpec) -> None:
    """Let a cluster have as many workers as asked for.

    Raises:
        StepError: The API refuses it.
    """

    def request() -> None:
        if spec.adaptive:
            kube.adapt(minimum=spec.min_workers, maximum=spec.max_workers)
        else:
            kube.scale(spec.num_workers)  # an adopted cluster may have another size

    _tried(request, f"scale Dask cluster {kube.name}", "apply deploy/rbac.yaml")


def _in_time(call: Callable[[], T], what: str) -> T:
    """The result of a call that has no time-out of its own; where the time is over it goes on in the background."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:  # raised again by the one who waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    if thread.is_alive():
        raise StepError(f"waited {CONNECT_TIMEOUT:g} s for {what}")
    if errors:
        raise errors[0]
    return results[0]


def _tried(call: Callable[[], T], action: str, mend: str) -> T:
    """The result of a call that may be repeated, so that a passing failure of the API or of a connection ends nothing.

    Args:
        call: Asks the API through kr8s, or the scheduler.
        action: What it does, for the message.
        mend: Of a lasting failure, for the message.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return call()
        except _REFUSALS as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if attempt == _ATTEMPTS or status in _LASTING:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise StepError(f"cannot {action}: {reason}; {mend}") from error
            time.sleep(PAUSE)
    raise AssertionError  # the last attempt returns or raises
