"""The KFP v2beta1 API as the tests play it, with the answers of the real one."""

import json
import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

NEVER = "0001-01-01T00:00:00Z"
WORKFLOW = "columbus-eclss-ad-pipeline-x7k2p"
POD_TEMPLATE = "metadata-0-1-retry-system-container-impl"
CREATED = "2026-01-02T03:04:05Z"
PROFILE = "kubeflow-user-example-com"  # the namespace that a distribution gives user@example.com
USER: web.RequestKey[str] = web.RequestKey("user", str)
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13}  # of gRPC, by HTTP status


@dataclass
class Task:
    """A step of a run at one moment.

    Attributes:
        state: Its state.
        attempts: How many pods it has had; none while it waits for one.
        retried: Whether its attempts are nodes of their own.
    """

    state: str
    attempts: int = 1
    retried: bool = True


@dataclass
class Moment:
    """A run as one request for it finds it."""

    state: str
    tasks: Mapping[str, Task] = field(default_factory=dict)
    error: str = ""


class PipelinesApi:
    """The API server's state.

    Attributes:
        multi_user: Whether resources belong to namespaces.
        members: Roles by namespace by user.
        ready_after: How often the pages' server still says that the API server is not ready.
        versions_refused: Why no version of a pipeline can be made; none is refused if empty.
        store: Where pipelines are kept: `database`, or `kubernetes`, whose names are those of its objects.
        story: What successive requests for a run find; the last one stays.
        pod_logs: Logs by pod, as the UI serves them; `pod_of` names pods.
    """

    def __init__(self) -> None:
        self.multi_user = True
        self.members = {
            "user@example.com": {PROFILE: "owner", "team": "contributor"},
            "anna": {"anna": "owner"},
        }
        self.ready_after = 0
        self.store = "database"
        self.versions_refused = ""
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.schedules: list[dict[str, Any]] = []
        self.pipelines: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.story: list[Moment] = [Moment("SUCCEEDED")]
        self.pod_logs: dict[str, str] = {}

    def routes(self, prefix: str) -> list[web.RouteDef]:
        base = f"{prefix}/apis/v2beta1"
        return [
            web.get(f"{base}/healthz", self.healthz),
            web.get(f"{base}/experiments", self.list_experiments),
            web.post(f"{base}/experiments", self.create_experiment),
            web.post(f"{base}/runs", self.create_run),
            web.get(f"{base}/runs/{{run_id}}", self.get_run),
            web.get(f"{base}/recurringruns", self.list_schedules),
            web.post(f"{base}/recurringruns", self.create_schedule),
            web.post(f"{base}/recurringruns/{{name}}:disable", self.disable_schedule),
            web.get(f"{base}/pipelines", self.list_pipelines),
            web.post(f"{base}/pipelines/upload", self.upload),
            web.post(f"{base}/pipelines/upload_version", self.upload_version),
        ]

    def pages(self) -> list[web.RouteDef]:
        """What the UI serves beside the API, and the dashboard."""
        return [
            web.get("/pipeline/k8s/pod/logs", self.pod_log),
            web.get("/api/workgroup/env-info", self.who_is_it),
        ]

    async def who_is_it(self, request: web.Request) -> web.Response:
        user = request[USER]
        namespaces = [
            {"user": user, "namespace": name, "role": role} for name, role in self.members.get(user, {}).items()
        ]
        platform = {"kubeflowVersion": "1.11.0", "provider": "other", "providerName": "other", "logoutUrl": "/logout"}
        return web.json_response(
            {"user": user, "platform": platform, "namespaces": namespaces, "isClusterAdmin": False}
        )

    async def healthz(self, request: web.Request) -> web.Response:
        told = {"multi_user": self.multi_user} if self.multi_user else {}
        if not request.path.startswith("/pipeline/"):
            return web.json_response({"commit_sha": "a", "tag_name": "2.16.1", **told})
        # The server of the pages answers itself, from what the API server told it within a second.
        self.ready_after -= 1
        ready = self.ready_after < 0
        return web.json_response(
            {
                "apiServerReady": ready,
                "frontendTagName": "2.16.1",
                **({"apiServerCommitHash": "a", **told} if ready else {}),
            }
        )

    async def list_experiments(self, request: web.Request) -> web.Response:
        return self._list(request, "experiments", self.experiments)

    async def create_experiment(self, request: web.Request) -> web.Response:
        given = await request.json()
        self._authorize(request, given.get("namespace", ""), "create", "experiments")
        if any(item["display_name"] == given["display_name"] for item in self.experiments):
            raise problem(409, f"Already exist error: Experiment {given['display_name']} already exists")
        experiment = {
            "experiment_id": str(uuid.uuid4()),
            "display_name": given["display_name"],
            "created_at": CREATED,
            "namespace": given.get("namespace", ""),
            "storage_state": "AVAILABLE",
            "last_run_created_at": NEVER,
        }
        self.experiments.append(experiment)
        return web.json_response(experiment)

    async def create_run(self, request: web.Request) -> web.Response:
        given = await request.json()
        experiment = self._experiment(given["experiment_id"])
        self._authorize(request, experiment["namespace"], "create", "runs")
        run = {
            **given,
            "run_id": str(uuid.uuid4()),
            "storage_state": "AVAILABLE",
            "service_account": "default-editor",
            "created_at": CREATED,
            "scheduled_at": CREATED,
            "finished_at": NEVER,
            "state": "PENDING",
            "state_history": [{"update_time": CREATED, "state": "PENDING"}],
        }
        self.runs.append(run)
        return web.json_response(run)

    async def get_run(self, request: web.Request) -> web.Response:
        run_id = request.match_info["run_id"]
        found = [run for run in self.runs if run["run_id"] == run_id]
        if not found:
            raise problem(404, f"Failed to get a run: ResourceNotFoundError: Run {run_id} not found")
        moment = self.story.pop(0) if len(self.story) > 1 else self.story[0]
        run = {**found[0], "state": moment.state}
        if moment.error:
            run["error"] = {"code": 13, "message": moment.error}
        if moment.tasks:
            run["run_details"] = {
                "task_details": [node for name, task in moment.tasks.items() for node in _nodes(run_id, name, task)],
            }
        return web.json_response(run)

    async def list_schedules(self, request: web.Request) -> web.Response:
        return self._list(request, "recurringRuns", self.schedules)

    async def create_schedule(self, request: web.Request) -> web.Response:
        given = await request.json()
        cron = given["trigger"]["cron_schedule"]["cron"]
        if len(cron.split()) != 6 or "61" in cron.split():
            raise problem(
                400,
                "Create recurring run failed: Invalid input error: Schedule cron is not a supported format"
                f"(https://godoc.org/github.com/robfig/cron). Error: End of range (61) above maximum (59): {cron}",
            )
        namespace = self._experiment(given["experiment_id"])["namespace"]
        self._authorize(request, namespace, "create", "jobs")
        schedule = {
            **given,
            "recurring_run_id": str(uuid.uuid4()),
            "created_at": CREATED,
            "status": "ENABLED",
            "namespace": namespace,
        }
        self.schedules.append(schedule)
        return web.json_response(schedule)

    async def disable_schedule(self, request: web.Request) -> web.Response:
        (schedule,) = [item for item in self.schedules if item["recurring_run_id"] == request.match_info["name"]]
        schedule["status"], schedule["mode"] = "DISABLED", "DISABLE"
        return web.json_response({})

    async def list_pipelines(self, request: web.Request) -> web.Response:
        return self._list(request, "pipelines", self.pipelines)

    async def upload(self, request: web.Request) -> web.Response:
        query = request.query
        namespace = query.get("namespace", "")
        self._authorize(request, namespace, "create", "pipelines")
        self._check_name("pipeline", query["name"])
        if any((item["display_name"], item["namespace"]) == (query["name"], namespace) for item in self.pipelines):
            raise upload_problem(409, f"Already exist error: The name {query['name']} already exist")
        pipeline = {
            "pipeline_id": str(uuid.uuid4()),
            "display_name": query["name"],
            "name": query["name"],
            "created_at": CREATED,
            "namespace": namespace,
        }
        self.pipelines.append(pipeline)
        await self._add_version(request, pipeline["pipeline_id"])
        return web.json_response(pipeline)

    async def upload_version(self, request: web.Request) -> web.Response:
        return web.json_response(await self._add_version(request, request.query["pipelineid"]))

    async def _add_version(self, request: web.Request, pipeline_id: str) -> dict[str, Any]:
        name = request.query["name"]
        self._check_name("pipeline version", name)
        if self.versions_refused:
            raise upload_problem(500, self.versions_refused)
        if any((item["pipeline_id"], item["display_name"]) == (pipeline_id, name) for item in self.versions):
            raise upload_problem(409, f"Already exist error: The name {name} already exist")
        uploaded = (await request.post())["uploadfile"]
        assert isinstance(uploaded, web.FileField)
        version = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": str(uuid.uuid4()),
            "display_name": name,
            "name": name,
            "created_at": CREATED,
        }
        self.versions.append({**version, "yaml": uploaded.file.read().decode()})
        return version

    def _check_name(self, kind: str, name: str) -> None:
        if self.store == "kubernetes" and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
            raise upload_problem(
                500,
                f"Failed to create a {kind}: BadRequestError: Invalid {kind} name: {kind} names must consist of lower "
                "case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            )

    async def pod_log(self, request: web.Request) -> web.Response:
        log = self.pod_logs.get(request.query["podname"])
        if log is None:
            return web.Response(text="Could not get main container logs: Error: 404", status=500)
        return web.Response(text=log)

    def _experiment(self, experiment_id: str) -> dict[str, Any]:
        return next(item for item in self.experiments if item["experiment_id"] == experiment_id)

    def _authorize(self, request: web.Request, namespace: str, verb: str, resource: str) -> None:
        """Refuse as the API server does: it does not say whether the namespace exists."""
        if not self.multi_user:
            if namespace:
                raise problem(
                    400,
                    "Invalid input error: In single-user mode, CreateExperimentRequest shouldn't "
                    "contain resource references.",
                )
            return
        if not namespace:
            raise problem(400, "Invalid input error: Namespace is required in multi-user mode")
        if namespace not in self.members.get(request[USER], set()):
            raise problem(
                403,
                f"Failed to authorize with API: PermissionDenied: User '{request[USER]}' is not "
                f"authorized with reason:  (request: &ResourceAttributes{{Namespace:{namespace},"
                f"Verb:{verb},Group:pipelines.kubeflow.org,Version:v1beta1,Resource:{resource},}})",
            )

    def _list(self, request: web.Request, key: str, items: list[dict[str, Any]]) -> web.Response:
        namespace = request.query.get("namespace", "")
        self._authorize(request, namespace, "list", key)
        found = [item for item in items if item.get("namespace", "") == namespace]
        for predicate in json.loads(request.query.get("filter") or "{}").get("predicates", []):
            assert predicate["operation"] in {1, "EQUALS"}  # an enumeration of protobuf, by number or by name
            found = [item for item in found if item[predicate["key"]] == predicate["stringValue"]]
        first = int(request.query.get("page_token") or 0)
        last = first + int(request.query.get("page_size") or 20)
        answer: dict[str, Any] = {"total_size": len(found)}
        if found[first:last]:
            answer[key] = found[first:last]
        if last < len(found):
            answer["next_page_token"] = str(last)
        return web.json_response(answer if found else {})


def pod_of(step: str, attempt: int = 0) -> str:
    """Name of the pod of an attempt of a step."""
    return f"{WORKFLOW}-{POD_TEMPLATE}-{_hash(step, f'executor({attempt})')}"


def _nodes(run_id: str, name: str, task: Task) -> list[dict[str, Any]]:
    """A step as the API server lists it: the nodes of Argo's workflow, without an error and without the pods' names.

    What a node names as pods of its children are the ids of their nodes.
    """

    def node(part: str, state: str, *children: str) -> dict[str, Any]:
        return {
            "run_id": run_id,
            "task_id": str(uuid.uuid5(uuid.NAMESPACE_URL, name + part)),
            "display_name": part,
            "create_time": CREATED,
            "start_time": CREATED,
            "end_time": "2026-01-02T03:05:35Z" if state in {"SUCCEEDED", "FAILED"} else NEVER,
            "state": state,
            "state_history": [{"update_time": CREATED, "state": state}],
            **(
                {"child_tasks": [{"pod_name": f"{WORKFLOW}-{_hash(name, child)}"} for child in children]}
                if children
                else {}
            ),
        }

    nodes = [node(f"{name}-driver", "SUCCEEDED", name)]
    attempts = [f"executor({attempt})" for attempt in range(task.attempts)]
    if not task.retried:
        return [*nodes, node(name, task.state, *attempts), node("executor", task.state)]
    states = ["FAILED"] * (task.attempts - 1) + [task.state]
    nodes += [node(name, task.state, "executor"), node("executor", task.state, *attempts)]
    return nodes + [node(attempt, state) for attempt, state in zip(attempts, states, strict=True)]


def _hash(step: str, part: str) -> int:
    return zlib.crc32(f"{step}.{part}".encode())


def problem(status: int, message: str) -> web.HTTPException:
    """An error as grpc-gateway writes it."""
    text = json.dumps({"error": message, "code": CODES[status], "message": message, "details": []})
    return _exception(status, text)


def upload_problem(status: int, message: str) -> web.HTTPException:
    """An error as the endpoints for uploads write it."""
    return _exception(status, json.dumps({"error_message": message, "error_details": f"{message}\nmain.upload"}))


def _exception(status: int, text: str) -> web.HTTPException:
    kinds = {
        400: web.HTTPBadRequest,
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        409: web.HTTPConflict,
        500: web.HTTPInternalServerError,
    }
    return kinds[status](text=text, content_type="application/json")
