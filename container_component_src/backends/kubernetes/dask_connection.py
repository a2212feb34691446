"""Connection to a Dask cluster: KubeCluster and its client, with the retries and timeouts that they lack."""

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
REQUEST_TIMEOUT = 60.0  # seconds for a request through kr8s, which has no timeout
SETTLING_TIME = 30.0  # seconds in which the operator creates the objects of a cluster
PAUSE = 0.5  # seconds before the second attempt; later pauses are longer
_WARNING_ATTEMPT = 4  # attempt at which the user is told
_PERMANENT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_NOT_YET = (kr8s.NotFoundError, ValueError)  # an object, or a field of it, does not exist yet
_REFUSALS = (kr8s.ServerError, kr8s.APITimeoutError, httpx.HTTPError, OSError, *_NOT_YET)

logger = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def connected(name: str, cluster: Cluster) -> Iterator[tuple[KubeCluster, Client]]:
    """Yield a Dask cluster and a client of it; the cluster is not deleted with this connection.

    Args:
        name: Name of a DaskCluster whose scheduler is ready.
        cluster: Cluster of the DaskCluster; its patience limits how long an unreachable API server is retried.

    Raises:
        TransientError: The API server is unreachable for longer than that.
        StepError: The API refuses something, or the scheduler cannot be reached in time.
    """

    def connect() -> KubeCluster:
        try:
            return _with_timeout(
                lambda: KubeCluster.from_name(name, namespace=cluster.namespace, quiet=True), CONNECT_TIMEOUT
            )
        except _UnansweredError as error:
            raise StepError(
                f"waited {CONNECT_TIMEOUT:g} s for the scheduler of Dask cluster {name} to answer",
                fix="check that no network policy keeps pods apart",
            ) from error

    def join() -> Client:
        return Client(kube)

    with ExitStack() as stack:
        action = f"connect to Dask cluster {name}"
        kube = stack.enter_context(_retry(connect, action, "see docs/cluster.md", cluster.patience, TransientError))
        dask = stack.enter_context(
            _retry(join, f"reach Dask cluster {name}", "see docs/cluster.md", CONNECT_TIMEOUT, StepError)
        )
        yield kube, dask


def scale(kube: KubeCluster, spec: ClusterSpec, patience: float) -> None:
    """Set the number of workers of a cluster.

    Args:
        kube: Cluster to scale.
        spec: Number of workers.
        patience: Seconds for which an unreachable API server is retried.

    Raises:
        TransientError: The API server is unreachable for longer than that.
        StepError: The API refuses the request.
    """

    def request() -> None:
        if spec.adaptive:
            kube.adapt(minimum=spec.min_workers, maximum=spec.max_workers)
        else:
            kube.scale(spec.num_dask_workers)  # an adopted cluster may have another number of workers

    _retry(
        lambda: _with_timeout(request, REQUEST_TIMEOUT),
        f"scale Dask cluster {kube.name}",
        "apply deploy/rbac.yaml",
        patience,
        TransientError,
    )


class _UnansweredError(TimeoutError):
    """A call took too long."""


def _with_timeout(call: Callable[[], T], timeout: float) -> T:
    """Return the result of a call that has no timeout of its own; after the timeout it goes on in the background."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:  # raised again in the waiting thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise _UnansweredError(f"no answer in {timeout:g} s")
    if errors:
        raise errors[0]
    return results[0]


def _retry(call: Callable[[], T], action: str, fix: str, patience: float, failure: type[StepError]) -> T:
    """Repeat a call until it succeeds, so that transient failures of the API or of a connection do no harm.

    Args:
        call: Call of the API through kr8s, or of the scheduler; it may be repeated.
        action: What the call does, for the message.
        fix: Fix of a permanent failure, for the message.
        patience: Seconds for which the call is repeated.
        failure: Type of the error if the call fails for so long.

    Returns:
        The result of the call.
    """

    def is_over(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        limit = min(patience, SETTLING_TIME) if isinstance(error, _NOT_YET) else patience
        return (state.seconds_since_start or 0.0) >= limit

    def warn(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == _WARNING_ATTEMPT and state.outcome:
            logger.warning("cannot %s: %s; trying for %g s", action, _reason(state.outcome.exception()), patience)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, _REFUSALS) and not _is_permanent(error)),
        stop=is_over,
        wait=tenacity.wait_exponential(multiplier=PAUSE, max=LONGEST_PAUSE),
        before_sleep=warn,
        reraise=True,
    )
    try:
        return retrying(call)
    except _REFUSALS as error:
        if _is_permanent(error) or isinstance(error, _NOT_YET):
            raise StepError(f"cannot {action}: {_reason(error)}", fix=fix) from error
        raise failure(f"tried for {patience:g} s to {action}: {_reason(error)}", fix="run the step again") from error


def _is_permanent(error: BaseException) -> bool:
    """Return whether the API will refuse the request later too."""
    return getattr(getattr(error, "response", None), "status_code", None) in _PERMANENT


def _reason(error: BaseException | None) -> str:
    text, _, _ = str(error).partition("\nFor more information check:")  # added by httpx
    return " ".join(text.split()) or type(error).__name__
