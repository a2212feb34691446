"""Observation of a run's Workflow during the waiting: pods that cannot start, and a Workflow that was deleted."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.remote.pod_logs import is_pod_absent
from pipeline.remote.workflow import Workflow, find_workflow, workflow_objects
from pipeline.remote.workspace import Workspace

LOOK_INTERVAL = 30.0  # seconds between two requests for the Workflow while no task changes
ABSENCE_INTERVAL = 300.0  # seconds between two checks of the pods' absence if Kubernetes is not accessible
_ABSENCE_CHECKS = 2  # consecutive checks that must find the Workflow absent


class WorkflowWatch:
    """Observer of one run's Workflow.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        warn: Logs a warning, each text once.
    """

    def __init__(self, workspace: Workspace, run_id: str, warn: Callable[[str], None]) -> None:
        self.workflow: Workflow | None = None
        self._workspace = workspace
        self._run_id = run_id
        self._warn = warn
        self._seen: list[tuple[str, str]] | None = None
        self._looked = self._checked = time.monotonic()
        self._blocked: set[str] = set()  # names of the nodes whose pods could not start at the last look
        self._absences = 0
        self._existed = False  # whether Kubernetes has ever returned the Workflow

    @property
    def cached_tasks(self) -> set[str]:
        """Names of the tasks answered from the cache."""
        return self.workflow.cached_tasks() if self.workflow else set()

    def look(self, state: str, tasks: Sequence[Any]) -> None:
        """Read the Workflow again if the run has changed or `LOOK_INTERVAL` has passed.

        Args:
            state: State of the run.
            tasks: Tasks of the run, as the API lists them.
        """
        seen = sorted((str(task.display_name), str(task.state)) for task in tasks)
        changed = [("", state), *seen] != self._seen
        if not changed and time.monotonic() - self._looked < LOOK_INTERVAL:
            return
        self._seen = [("", state), *seen]
        self.workflow = find_workflow(self._workspace, self._run_id)
        self._looked = time.monotonic()
        self._warn_of_blocked_pods()
        if changed:
            self._absences = 0
            self._checked = self._looked

    def is_gone(self) -> bool:
        """Return whether the Workflow was deleted; the state of its run would stay RUNNING for ever."""
        if time.monotonic() - self._checked >= (ABSENCE_INTERVAL if self._workspace.cluster is None else LOOK_INTERVAL):
            self._checked = time.monotonic()
            self._absences = self._absences + 1 if self._seems_gone() else 0
        return self._absences >= _ABSENCE_CHECKS

    def _seems_gone(self) -> bool:
        if self._workspace.cluster is not None:
            found = workflow_objects(self._workspace, self._run_id)
            self._existed = self._existed or bool(found)
            return self._existed and found == []
        running = self.workflow.running_pods() if self.workflow else []
        return bool(running) and all(is_pod_absent(self._workspace, self._run_id, node) for node in running)

    def _warn_of_blocked_pods(self) -> None:
        """Log why pods cannot start, if this was so at the last look, too."""
        blocked = self.workflow.blocked_pods() if self.workflow else []
        for node in blocked:
            if node.name in self._blocked:
                self._warn(f"{node.step} waits: {node.message}")
        self._blocked = {node.name for node in blocked}
