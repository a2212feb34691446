"""Startup of a job's pods: log what delays them, and fail the step if a problem does not go away."""

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

NO_POD_LIMIT = 900.0  # seconds without a pod: the end of another job may free the quota
IMAGE_LIMIT = 600.0  # seconds of failed image pulls: the registry may be unavailable
_PORT = re.compile(r":\d+")  # port of a failed connection, which differs between attempts

logger = logging.getLogger(__name__)


class StartUp:
    """Monitor of the pods of one job, called in the loop that waits for the job.

    A full node is logged but never fails the step: an autoscaler or the end of another job makes room.

    Args:
        cluster: Cluster of the pods.
        what: Name of the job in messages, such as `PyTorchJob train-1`.
        no_pod_limit: Seconds until missing pods fail the step.
        image_limit: Seconds until failed image pulls fail the step.
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
        """Log new problems of the pods, and raise an error when one has lasted too long.

        Args:
            pods: Existing pods (`V1Pod`).
            expected: Number of pods the job should have.
            names: Objects whose events explain missing pods, as in `warnings_about`.
            needed: Number of pods that the job requires and the limit applies to; all by default.

        Raises:
            StepError: No pod was created, or an image could not be pulled, for longer than the limit.
        """
        pods = list(pods)
        missing = expected - len(pods)
        events = warnings_about(self._cluster, names) if missing > 0 else []
        reasons = [*obstacles(pods), *events]
        for reason in reasons:
            self._warn(reason, _PORT.sub("", reason))
        lacking = len(pods) < (expected if needed is None else needed)
        self._limit("pods", lacking, f"{missing} of {expected} pods of {self._what} were not created", reasons)
        problems = image_problems(pods)
        self._limit("image", bool(problems), f"an image of {self._what} cannot be pulled", problems)

    def _limit(self, name: str, is_present: bool, problem: str, reasons: list[str]) -> None:
        if not is_present:
            self._since.pop(name, None)
            return
        now = time.monotonic()
        if now - self._since.setdefault(name, now) >= self._limits[name]:
            raise StepError("; ".join([f"{problem} in {self._limits[name]:g} s", *reasons]))
