"""Simulated runs of the API server of KFP 2.16: states, Argo nodes and logs of pods."""

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.pipeline.remote.argo import BEGAN, Task, manifest

NEVER = "0001-01-01T00:00:00Z"
CREATED = BEGAN
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13}  # of gRPC, by HTTP status
_STATES = {"Error": "FAILED", "Omitted": "SKIPPED"}  # KFP's names of Argo's phases, where they differ
_FINAL_STATES = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}


@dataclass
class Moment:
    """State of a run at the time of one request.

    Attributes:
        state: State of the run.
        tasks: Steps by the names of their tasks.
        error: Error of the run; the real API returns none.
        history: Earlier states.
        deleted: Whether the run was deleted.
        gate_closed: Whether the condition of the deployment was false.
        finished: End of the run.
    """

    state: str
    tasks: Mapping[str, Task] = field(default_factory=dict)
    error: str = ""
    history: tuple[str, ...] = ("PENDING", "RUNNING")
    deleted: bool = False
    gate_closed: bool = False
    finished: str = "2026-01-02T04:00:00Z"


class RunsApi:
    """The endpoints of the API server for runs.

    Attributes:
        story: Moments that successive requests for a run return; the last one is repeated.
        after_retry: Moments after each of the next retries.
        pod_logs: Logs of existing pods by pod.
        archived_logs: Logs by pod that the UI finds in the store.
        retries: Number of retries.
        retry_problems: Errors of the next retries.
    """

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.namespaces: dict[str, str] = {}  # by run ID
        self.story: list[Moment] = [Moment("SUCCEEDED")]
        self.after_retry: list[list[Moment]] = []
        self.pod_logs: dict[str, str] = {}
        self.archived_logs: dict[str, str] = {}
        self.retries = 0
        self.retry_problems: list[web.HTTPException] = []
        self._now = self.story[0]

    def run_routes(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.get(f"{prefix}/apis/v2beta1/runs", self.list_runs),
            web.get(f"{prefix}/apis/v2beta1/runs/{{run_id}}", self.get_run),
            web.post(f"{prefix}/apis/v2beta1/runs/{{run_id}}:retry", self.retry_run),
            web.get(f"{prefix}/apis/v1beta1/runs/{{run_id}}", self.get_run_v1),
            web.get(f"{prefix}/apis/v1alpha1/runs/{{run_id}}/nodes/{{pod}}/log", self.node_log),
        ]

    def add_run(self, given: dict[str, Any], namespace: str) -> dict[str, Any]:
        run = {
            **given,
            "run_id": str(uuid.uuid4()),
            "storage_state": "AVAILABLE",
            "service_account": "default-editor",
            "created_at": f"2026-01-02T03:04:{5 + len(self.runs):02d}Z",
            "scheduled_at": CREATED,
            "finished_at": NEVER,
            "state": "PENDING",
            "state_history": [{"update_time": CREATED, "state": "PENDING"}],
        }
        self.runs.append(run)
        self.namespaces[run["run_id"]] = namespace
        return run

    async def list_runs(self, request: web.Request) -> web.Response:
        """Return all runs; they are sorted only on request."""
        experiment, namespace = request.query.get("experiment_id"), request.query.get("namespace", "")
        if experiment:  # it has a namespace
            found = [run for run in self.runs if run.get("experiment_id") == experiment]
        else:
            found = [run for run in self.runs if self.namespaces[run["run_id"]] == namespace]
        random.Random(1).shuffle(found)
        if request.query.get("sort_by") == "created_at desc":
            found.sort(key=lambda run: str(run["created_at"]), reverse=True)
        first = int(request.query.get("page_token") or 0)
        last = first + int(request.query.get("page_size") or 20)
        rest = {"next_page_token": str(last)} if last < len(found) else {}
        return web.json_response({"runs": found[first:last], "total_size": len(found), **rest})

    async def get_run(self, request: web.Request) -> web.Response:
        run = self._find(request)
        self._now = moment = self.story.pop(0) if len(self.story) > 1 else self.story[0]
        if moment.deleted:
            raise run_not_found(run["run_id"])
        states = [*moment.history, moment.state] if moment.state != "PENDING" else ["PENDING"]
        answer = {
            **run,
            "state": moment.state,
            "state_history": [{"update_time": CREATED, "state": state} for state in states],
            "finished_at": moment.finished if moment.state in _FINAL_STATES else NEVER,
        }
        if moment.error:
            answer["error"] = {"code": 13, "message": moment.error}
        if moment.tasks:
            answer["run_details"] = {"task_details": _task_details(run["run_id"], self._workflow(run["run_id"]))}
        return web.json_response(answer)

    async def get_run_v1(self, request: web.Request) -> web.Response:
        run = self._find(request)
        pipeline = {
            "pipeline_manifest": "{}",
            "workflow_manifest": json.dumps(self._workflow(run["run_id"]), separators=(",", ":")),
        }
        return web.json_response({"run": {"id": run["run_id"], "name": "run"}, "pipeline_runtime": pipeline})

    async def retry_run(self, request: web.Request) -> web.Response:
        self._find(request)
        if self.retry_problems:
            raise self.retry_problems.pop(0)
        if self._now.state not in {"FAILED", "CANCELED"} and self.retries:
            raise problem(
                400, "Failed to retry a run: Workflow must be Failed/Error to retry: workflow cannot be retried"
            )
        self.retries += 1
        if self.after_retry:
            self.story = self.after_retry.pop(0)
        return web.json_response({})

    async def node_log(self, request: web.Request) -> web.Response:
        """Return the log of a pod; for a missing pod, an error with status 200."""
        run, pod = self._find(request), request.match_info["pod"]
        if pod in self.pod_logs:
            return web.Response(text=self.pod_logs[pod])
        message = f'error in opening log stream: pods "{pod}" not found'
        text = json.dumps({"error_message": message, "error_details": f"{message}\nrun {run['run_id']}"})
        return web.Response(text=text, content_type="application/json")

    async def pod_log(self, request: web.Request) -> web.Response:
        """Return the log of a pod like the UI, which also reads the store."""
        pod = request.query["podname"]
        log = self.pod_logs.get(pod, self.archived_logs.get(pod))
        if log is None:
            return web.Response(text="Could not get main container logs: Error: 404", status=500)
        return web.Response(text=log)

    def _workflow(self, run_id: str) -> Any:
        phases = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "CANCELED": "Failed"}
        phase = phases.get(self._now.state, "Running")
        return manifest(run_id, self._now.tasks, phase, self._now.gate_closed)

    def _find(self, request: web.Request) -> dict[str, Any]:
        run_id = request.match_info["run_id"]
        for run in self.runs:
            if run["run_id"] == run_id:
                return run
        raise run_not_found(run_id)


def problem(status: int, message: str) -> web.HTTPException:
    """Return an error of grpc-gateway."""
    return json_error(status, json.dumps({"error": message, "code": CODES[status], "message": message, "details": []}))


def json_error(status: int, text: str) -> web.HTTPException:
    """Return an error with a JSON body."""
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        401: web.HTTPUnauthorized,
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        409: web.HTTPConflict,
        500: web.HTTPInternalServerError,
    }
    return kinds[status](text=text, content_type="application/json")


def run_not_found(run_id: str) -> web.HTTPException:
    return problem(404, f"Failed to get a run: ResourceNotFoundError: Run {run_id} not found")


def _task_details(run_id: str, workflow: Any) -> list[dict[str, Any]]:
    """Return the nodes of the Workflow without messages and unsorted, and an empty entry of the cache.

    The pod names of child tasks are node IDs, as in the real API.
    """
    details = [_task_detail(run_id, node) for node in workflow["status"]["nodes"].values()]
    random.Random(1).shuffle(details)
    return [*details, {"run_id": run_id, "task_id": str(uuid.uuid4()), "create_time": CREATED, "start_time": NEVER}]


def _task_detail(run_id: str, node: dict[str, Any]) -> dict[str, Any]:
    state = _STATES.get(node["phase"], node["phase"].upper())
    return {
        "run_id": run_id,
        "task_id": str(uuid.uuid5(uuid.NAMESPACE_URL, node["name"])),
        "display_name": node["displayName"],
        "create_time": CREATED,
        "start_time": node["startedAt"],
        "end_time": node["finishedAt"] or NEVER,
        "state": state,
        "state_history": [{"update_time": CREATED, "state": state}],
        **({"child_tasks": [{"pod_name": child} for child in node["children"]]} if "children" in node else {}),
    }
