"""KubeCluster and its client, with the repetitions and the ends that they lack."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import TypeVar

import httpx
import kr8s
import tenacity
from dask_kubernetes.operator import KubeCluster
from distributed import Client

from container_component_src.cluster.access import LONGEST_PAUSE, Cluster, TransientError
from container_component_src.errors import StepError
from container_component_src.steps.data import ClusterSpec

CONNECT_TIMEOUT = 300.0  # seconds to reach a scheduler that is ready
REQUEST_TIMEOUT = 60.0  # seconds that a request through kr8s, which waits for an answer without end, may take
SETTLING_TIME = 30.0  # seconds in which the operator makes the objects that a cluster consists of
PAUSE = 0.5  # seconds before the second attempt; later ones wait longer
_TOLD_ATTEMPT = 4  # with which the user learns that something is waited for
_FINAL = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_NOT_YET = (kr8s.NotFoundError, ValueError)  # an object, or a field of it, is not there yet
_REFUSALS = (kr8s.ServerError, kr8s.APITimeoutError, httpx.HTTPError, OSError, *_NOT_YET)

logger = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def connected(name: str, cluster: Cluster) -> Iterator[tuple[KubeCluster, Client]]:
    """A cluster as Dask sees it, and a client of it; it is not deleted with this connection.

    Args:
        name: Of a DaskCluster whose scheduler is ready.
        cluster: Where it is, and for how long an API server that is away is waited for.

    Raises:
        TransientError: The API server is away for longer than that.
        StepError: The API refuses something, or the scheduler cannot be reached in time.
    """

    def connect() -> KubeCluster:
        try:
            return _in_time(
                lambda: KubeCluster.from_name(name, namespace=cluster.namespace, quiet=True), CONNECT_TIMEOUT
            )
        except _UnansweredError as error:
            raise StepError(
                f"waited {CONNECT_TIMEOUT:g} s for the scheduler of Dask cluster {name} to answer; "
                "check that no network policy keeps pods apart"
            ) from error

    def join() -> Client:
        return Client(kube)

    with ExitStack() as stack:
        action = f"connect to Dask cluster {name}"
        kube = stack.enter_context(_tried(connect, action, "see docs/cluster.md", cluster.patience, TransientError))
        dask = stack.enter_context(
            _tried(join, f"reach Dask cluster {name}", "see docs/cluster.md", CONNECT_TIMEOUT, StepError)
        )
        yield kube, dask


def scale(kube: KubeCluster, spec: ClusterSpec, patience: float) -> None:
    """Let a cluster have as many workers as asked for.

    Args:
        kube: The cluster.
        spec: How many.
        patience: Seconds for which an API server that is away is waited for.

    Raises:
        TransientError: It is away for longer than that.
        StepError: The API refuses it.
    """

    def request() -> None:
        if spec.adaptive:
            kube.adapt(minimum=spec.min_workers, maximum=spec.max_workers)
        else:
            kube.scale(spec.num_dask_workers)  # an adopted cluster may have another size

    _tried(
        lambda: _in_time(request, REQUEST_TIMEOUT),
        f"scale Dask cluster {kube.name}",
        "apply deploy/rbac.yaml",
        patience,
        TransientError,
    )


class _UnansweredError(TimeoutError):
    """A call has taken too long."""


def _in_time(call: Callable[[], T], limit: float) -> T:
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
    thread.join(limit)
    if thread.is_alive():
        raise _UnansweredError(f"no answer in {limit:g} s")
    if errors:
        raise errors[0]
    return results[0]


def _tried(call: Callable[[], T], action: str, fix: str, patience: float, failure: type[StepError]) -> T:
    """The result of a call that may be repeated, so that a passing failure of the API or of a connection ends nothing.

    Args:
        call: Asks the API through kr8s, or the scheduler.
        action: What it does, for the message.
        fix: Of a lasting failure, for the message.
        patience: Seconds for which it is repeated.
        failure: What is raised where what is asked was away for so long.
    """

    def is_over(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        limit = min(patience, SETTLING_TIME) if isinstance(error, _NOT_YET) else patience
        return (state.seconds_since_start or 0.0) >= limit

    def warn(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == _TOLD_ATTEMPT and state.outcome:
            logger.warning("cannot %s: %s; trying for %g s", action, _reason(state.outcome.exception()), patience)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, _REFUSALS) and not _is_final(error)),
        stop=is_over,
        wait=tenacity.wait_exponential(multiplier=PAUSE, max=LONGEST_PAUSE),
        before_sleep=warn,
        reraise=True,
    )
    try:
        return retrying(call)
    except _REFUSALS as error:
        if _is_final(error) or isinstance(error, _NOT_YET):
            raise StepError(f"cannot {action}: {_reason(error)}; {fix}") from error
        raise failure(f"tried for {patience:g} s to {action}: {_reason(error)}; run the step again") from error


def _is_final(error: BaseException) -> bool:
    """Whether the API refuses what is asked, now and later."""
    return getattr(getattr(error, "response", None), "status_code", None) in _FINAL


def _reason(error: BaseException | None) -> str:
    text, _, _ = str(error).partition("\nFor more information check:")  # httpx explains HTTP there
    return " ".join(text.split()) or type(error).__name__
