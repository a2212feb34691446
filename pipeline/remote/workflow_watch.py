"""Looks at the Workflow of a run while it is waited for: what keeps its pods from starting, and whether it is there."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.remote.pod_logs import is_pod_absent
from pipeline.remote.workflow import Workflow, find_workflow, workflow_objects
from pipeline.remote.workspace import Workspace

LOOK_INTERVAL = 30.0  # seconds between two looks while no task changes
PROOF_INTERVAL = 300.0  # seconds between two looks for the pods, where Kubernetes cannot be asked for the Workflow
_PROOFS = 2  # in a row that show that it is gone


class WorkflowWatch:
    """The Workflow of one run.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        warn: Logs a warning, each text once.
    """

    def __init__(self, workspace: Workspace, run_id: str, warn: Callable[[str], None]) -> None:
        self.workflow: Workflow | None = None
        self._workspace = workspace
        self._run_id = run_id
        self._warn = warn
        self._seen: list[tuple[str, str]] | None = None
        self._looked = self._proved = time.monotonic()
        self._hindered: set[str] = set()  # names of nodes with an obstacle at the last look
        self._proofs = 0
        self._was_there = False  # whether Kubernetes has ever shown it

    def look(self, state: str, tasks: Sequence[Any]) -> None:
        """Look whether something has changed, or some time has passed.

        Args:
            state: Of the run.
            tasks: Those that the API lists.
        """
        seen = sorted((str(task.display_name), str(task.state)) for task in tasks)
        changed = [("", state), *seen] != self._seen
        if not changed and time.monotonic() - self._looked < LOOK_INTERVAL:
            return
        self._seen = [("", state), *seen]
        self.workflow = find_workflow(self._workspace, self._run_id)
        self._looked = time.monotonic()
        self._warn_of_obstacles()
        if changed:
            self._proofs = 0
            self._proved = self._looked

    def is_gone(self) -> bool:
        """Whether nothing is left that could go on: the run's state alone would say RUNNING for ever."""
        if time.monotonic() - self._proved >= (PROOF_INTERVAL if self._workspace.cluster is None else LOOK_INTERVAL):
            self._proved = time.monotonic()
            self._proofs = self._proofs + 1 if self._seems_gone() else 0
        return self._proofs >= _PROOFS

    def _seems_gone(self) -> bool:
        if self._workspace.cluster is not None:
            found = workflow_objects(self._workspace, self._run_id)
            self._was_there = self._was_there or bool(found)
            return self._was_there and found == []
        running = self.workflow.running_pods() if self.workflow else []
        return bool(running) and all(is_pod_absent(self._workspace, self._run_id, node) for node in running)

    def _warn_of_obstacles(self) -> None:
        """Say what keeps pods from starting that it has kept from it at the last look, too."""
        obstacles = self.workflow.obstacles() if self.workflow else []
        for node in obstacles:
            if node.name in self._hindered:
                self._warn(f"{node.step} waits: {node.message}")
        self._hindered = {node.name for node in obstacles}
