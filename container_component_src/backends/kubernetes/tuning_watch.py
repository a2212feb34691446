"""Watch over a running Katib experiment: log its progress, and stop waiting if it cannot go on."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from container_component_src.backends.kubernetes.tuning_trials import (
    EXPERIMENT_LABEL,
    TRIAL_LABEL,
    Failure,
    failure_of,
    objective_of,
    trials_of,
)
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.events import warnings_about
from container_component_src.cluster.logs import list_pods
from container_component_src.cluster.start_up import StartUp
from container_component_src.errors import StepError
from container_component_src.once import WarnOnce
from container_component_src.progress import Progress
from container_component_src.tuning.collector import OBJECTIVE

SUGGESTION_LIMIT = 120.0  # seconds for which Katib may fail to suggest a trial while none runs

logger = logging.getLogger(__name__)


class Watch:
    """Observes an experiment, its trials and their pods while a step waits for it.

    Args:
        cluster: Cluster of the experiment.
        name: Name of the experiment.
        trial_timeout: Seconds that a trial may take.

    Attributes:
        failures: Failures by name of the trial, noted early because the pods that explain them may be deleted.
    """

    def __init__(self, cluster: Cluster, name: str, trial_timeout: float, trial_count: int) -> None:
        self.failures: dict[str, Failure] = {}
        self._cluster = cluster
        self._name = name
        self._trial_timeout = trial_timeout
        self._trial_count = trial_count
        self._shown = ""
        self._progress: Progress | None = None
        self._start_up = StartUp(cluster, f"Katib experiment {name}")
        self._suggestions = _Suggestions(cluster, name)

    def check(self, experiment: Manifest, ended: bool) -> None:
        """Log what has changed, and check that the experiment can go on.

        Args:
            experiment: Experiment as it is now.
            ended: Whether it has ended, so that no more pods are expected.

        Raises:
            StepError: For longer than the limits, no pod of a trial was created, an image could not be pulled, or Katib
                could not suggest a trial.
        """
        self._log_failures(experiment)
        status = experiment.get("status", {})
        running = _names(status, "pending", "running")
        found = list_pods(self._cluster, f"{EXPERIMENT_LABEL}={self._name}")
        of_trials = [pod for pod in found if _trial_of(pod)]
        started = {_trial_of(pod) for pod in of_trials if pod.status.phase != "Pending"}
        self._log_progress(status, running, started)
        if not ended:
            self._check_pods(experiment, running, of_trials, [pod for pod in found if not _trial_of(pod)])
            self._suggestions.check(quiet=not running)

    def _check_pods(self, experiment: Manifest, running: list[str], of_trials: list[Any], others: list[Any]) -> None:
        """Log why pods of trials, or of Katib's suggestion service, are missing or do not start."""
        active = [pod for pod in of_trials if pod.status.phase in ("Pending", "Running")]
        with_pods = {_trial_of(pod) for pod in of_trials}
        missing = [trial for trial in running if trial not in with_pods]
        # At least one trial must run. The others may wait for the quota or the nodes that it uses.
        wanted = max(1, len(active) + len(missing))
        service = f"{self._name}-{experiment['spec']['algorithm']['algorithmName']}"
        names = missing or [service]
        self._start_up.check([*others, *active], len(others) + wanted, names, needed=len(others) + 1)

    def _log_progress(self, status: Manifest, running: Iterable[str], started: set[str]) -> None:
        shown = _progress(status, [trial in started for trial in running])
        if shown == self._shown:
            return
        ended = len(_names(status, "succeeded", "failed", "killed", "earlyStopped", "metricsUnavailable"))
        self._progress = self._progress or Progress("trial", self._trial_count, ended)
        logger.info("%s", "; ".join(filter(None, [shown, self._progress.remaining(ended)])))
        self._shown = shown

    def _log_failures(self, experiment: Manifest) -> None:
        """Find out why trials failed, as soon as they have."""
        failed = _names(experiment.get("status", {}), "failed", "metricsUnavailable", "killed")
        if set(failed) <= self.failures.keys():
            return
        for trial in trials_of(self._cluster, experiment):
            name = trial["metadata"]["name"]
            failure = None if name in self.failures else failure_of(self._cluster, trial, self._trial_timeout)
            if failure is not None:
                logger.warning("trial %s failed: %s", name, failure.text)
                self.failures[name] = failure


class _Suggestions:
    """Observes why Katib suggests no trial, which only events tell."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._since: datetime | None = None  # when the last trial ended
        self._failing_since: datetime | None = None
        self._warn = WarnOnce(logger)

    def check(self, quiet: bool) -> None:
        """Log new errors.

        Args:
            quiet: Whether no trial is running or about to.

        Raises:
            StepError: There were errors for longer than the limit.
        """
        if not quiet:
            self._since = self._failing_since = None
            return
        now = datetime.now(UTC)
        self._since = self._since or now
        errors = self._errors(self._since)
        if not errors:
            return
        for error in errors:
            self._warn(error)
        self._failing_since = self._failing_since or now
        if (now - self._failing_since).total_seconds() < SUGGESTION_LIMIT:
            return
        # Katib retries at growing intervals, so lasting errors leave an event in the second half of the limit.
        lasting = self._errors(self._failing_since + timedelta(seconds=SUGGESTION_LIMIT / 2))
        if lasting:
            raise StepError(f"Katib cannot suggest a trial of experiment {self._name}; {'; '.join(lasting)}")
        self._since, self._failing_since = now, None

    def _errors(self, since: datetime) -> list[str]:
        return warnings_about(self._cluster, [self._name], {"Suggestion"}, since)


def _names(status: Manifest, *states: str) -> list[str]:
    """Return the names of an experiment's trials in some states."""
    return [name for state in states for name in status.get(f"{state}TrialList") or []]


def _trial_of(pod: Any) -> str:
    """Return the trial that a pod (`V1Pod`) belongs to; empty for other pods of an experiment."""
    return str((pod.metadata.labels or {}).get(TRIAL_LABEL, ""))


def _progress(status: Manifest, started: list[bool]) -> str:
    """Return one line with the trials by state and the best objective so far.

    Args:
        status: Status of the experiment.
        started: For each trial that Katib counts as running, whether a pod of it runs.
    """
    counts = {
        "running": started.count(True),
        "waiting for a pod to start": started.count(False),
        "succeeded": status.get("trialsSucceeded", 0),
        "failed": status.get("trialsFailed", 0),
        "stopped early": status.get("trialsEarlyStopped", 0),
        "without metrics": status.get("trialMetricsUnavailable", 0),
    }
    shown = [f"{count} {state}" for state, count in counts.items() if count or state in ("running", "succeeded")]
    best = objective_of(status.get("currentOptimalTrial", {}))
    return "trials: " + ", ".join(shown) + (f"; best {OBJECTIVE} {best:.6g}" if best is not None else "")
