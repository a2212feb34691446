"""Pods that are waited for: what holds them up is said once, and has a limit where it does not pass by itself."""

import logging
import re
import time
from collections.abc import Iterable
from typing import Any

from container_component_src.cluster.access import Cluster
from container_component_src.cluster.events import warnings_about
from container_component_src.cluster.pod_states import image_problems, obstacles
from container_component_src.errors import StepError
from container_component_src.once import WarnOnce

NO_POD_LIMIT = 900.0  # seconds for which no pod at all may be missing: a quota may be freed by a neighbour's job
IMAGE_LIMIT = 600.0  # seconds for which an image may fail to be pulled: a registry may be away
_PORT = re.compile(r":\d+")  # of a connection that failed: each attempt has another

logger = logging.getLogger(__name__)


class StartUp:
    """Watches over the pods of one job, in the loop of whoever waits for it.

    A full node is said, but has no limit of its own: an autoscaler, or the end of another job, makes room.

    Args:
        cluster: Where the pods are.
        what: The job, for messages: `PyTorchJob train-1`.
        no_pod_limit: Seconds until missing pods fail the step.
        image_limit: Seconds until an image that cannot be pulled fails the step.
    """

    def __init__(
        self, cluster: Cluster, what: str, no_pod_limit: float = NO_POD_LIMIT, image_limit: float = IMAGE_LIMIT
    ) -> None:
        self._cluster = cluster
        self._what = what
        self._limits = {"pods": no_pod_limit, "image": image_limit}
        self._since: dict[str, float] = {}
        self._warn = WarnOnce(logger)

    def check(self, pods: Iterable[Any], expected: int, names: Iterable[str], needed: int | None = None) -> None:
        """Say what holds pods up that has not been said, and fail where a limit is over.

        Args:
            pods: Those that exist (`V1Pod`).
            expected: How many should.
            names: Of the objects whose events explain missing pods, as in `warnings_about`.
            needed: How many the job cannot do without, so that the limit holds for them; all by default.

        Raises:
            StepError: No pod came into being, or an image could not be pulled, for longer than the limit.
        """
        pods = list(pods)
        missing = expected - len(pods)
        events = warnings_about(self._cluster, names) if missing > 0 else []
        reasons = [*obstacles(pods), *events]
        for reason in reasons:
            self._warn(reason, _PORT.sub("", reason))
        lacking = len(pods) < (expected if needed is None else needed)
        self._limit("pods", lacking, f"{missing} of {expected} pods of {self._what} did not come into being", reasons)
        problems = image_problems(pods)
        self._limit("image", bool(problems), f"an image of {self._what} cannot be pulled", problems)

    def _limit(self, name: str, holds: bool, problem: str, reasons: list[str]) -> None:
        if not holds:
            self._since.pop(name, None)
            return
        now = time.monotonic()
        if now - self._since.setdefault(name, now) >= self._limits[name]:
            raise StepError("; ".join([f"{problem} in {self._limits[name]:g} s", *reasons]))
