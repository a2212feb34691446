"""Simulated KFP v2beta1 API with the answers of the real one."""

import json
import re
import uuid
from typing import Any

from aiohttp import web

from tests.pipeline.remote.gateways import PROFILE
from tests.pipeline.remote.runs_api import CREATED, NEVER, RunsApi, problem

USER: web.RequestKey[str] = web.RequestKey("user", str)


class PipelinesApi(RunsApi):
    """State and routes of the API server.

    Attributes:
        multi_user: Whether resources belong to namespaces.
        members: Roles by namespace by user.
        ready_after: Number of health checks until the API server is ready.
        versions_refused: Reason why pipeline versions are refused; empty if they are accepted.
        store: Store of pipelines: `database`, or `kubernetes`, which restricts names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.multi_user = True
        self.members = {
            "user@example.com": {PROFILE: "owner", "team": "contributor"},
            "anna": {"anna": "owner"},
        }
        self.ready_after = 0
        self.store = "database"
        self.versions_refused = ""
        self.experiments: list[dict[str, Any]] = []
        self.schedules: list[dict[str, Any]] = []
        self.pipelines: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []

    def routes(self, prefix: str) -> list[web.RouteDef]:
        base = f"{prefix}/apis/v2beta1"
        return [
            web.get(f"{base}/healthz", self.healthz),
            web.get(f"{base}/experiments", self.list_experiments),
            web.post(f"{base}/experiments", self.create_experiment),
            web.post(f"{base}/runs", self.create_run),
            *self.run_routes(prefix),
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
        return web.json_response(self.add_run(given, experiment["namespace"]))

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

    def _experiment(self, experiment_id: str) -> dict[str, Any]:
        return next(item for item in self.experiments if item["experiment_id"] == experiment_id)

    def _authorize(self, request: web.Request, namespace: str, verb: str, resource: str) -> None:
        """Refuse like the API server, which does not reveal whether the namespace exists."""
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
            assert predicate["operation"] in {1, "EQUALS"}  # a protobuf enumeration, by number or by name
            found = [item for item in found if item[predicate["key"]] == predicate["stringValue"]]
        first = int(request.query.get("page_token") or 0)
        last = first + int(request.query.get("page_size") or 20)
        answer: dict[str, Any] = {"total_size": len(found)}
        if found[first:last]:
            answer[key] = found[first:last]
        if last < len(found):
            answer["next_page_token"] = str(last)
        return web.json_response(answer if found else {})


def upload_problem(status: int, message: str) -> web.HTTPException:
    """Return an error of the endpoints for uploads."""
    text = json.dumps({"error_message": message, "error_details": f"{message}\nmain.upload"})
    kinds = {409: web.HTTPConflict, 500: web.HTTPInternalServerError}
    return kinds[status](text=text, content_type="application/json")
