"""A Kubernetes API on a port of this machine: kmock's, with the rules of the real one that the code depends on."""

import asyncio
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp.web
import kmock
import yaml

from tests.cluster import schemas
from tests.cluster.rights import Right, granted, right_of

NAMESPACE = "telemetry"
STEPS = "steps"  # a user with the rights that deploy/rbac.yaml grants
ADMINISTRATOR, OPERATOR = "administrator", "operator"  # may do everything; what is to fail does not for the operator
RESOURCES = {
    "kubeflow.org/v1beta1/experiments": "Experiment",
    "kubeflow.org/v1beta1/trials": "Trial",
    "kubeflow.org/v1/pytorchjobs": "PyTorchJob",
    "serving.kserve.io/v1beta1/inferenceservices": "InferenceService",
    "kubernetes.dask.org/v1/daskclusters": "DaskCluster",
    "kubernetes.dask.org/v1/daskworkergroups": "DaskWorkerGroup",
    "kubernetes.dask.org/v1/daskautoscalers": "DaskAutoscaler",
    "kubernetes.dask.org/v1/daskjobs": "DaskJob",
    "argoproj.io/v1alpha1/workflows": "Workflow",
    "v1/pods": "Pod",
    "v1/services": "Service",
    "v1/secrets": "Secret",
    "v1/serviceaccounts": "ServiceAccount",
    "v1/events": "Event",
    "v1/configmaps": "ConfigMap",
    "v1/resourcequotas": "ResourceQuota",
    "v1/limitranges": "LimitRange",
    "v1/namespaces": "Namespace",
    "apps/v1/deployments": "Deployment",
    "batch/v1/jobs": "Job",
}
VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.31.0",
    "gitCommit": "9edcffcde5595e8a5b1a35f88c421764e575afce",
    "gitTreeState": "clean",
    "buildDate": "2024-08-13T07:28:49Z",
    "goVersion": "go1.22.5",
    "compiler": "gc",
    "platform": "linux/amd64",
}
FIXED = {"/api": {"kind": "APIVersions", "versions": ["v1"]}, "/version": VERSION}
VERBS = {"create", "delete", "get", "list", "patch", "update", "watch"}


@dataclass
class Fault:
    """Requests of others than the operator that the API answers wrongly, as often as asked."""

    method: str
    path: str  # regular expression
    status: int = 500  # 0 closes the connection without an answer
    times: int = 1
    seen: int = 0


@dataclass
class Log:
    """What the containers of a pod have written so far; while it is `open`, followers wait for more."""

    text: str = ""
    open: bool = False
    drops: int = 0  # connections that break off in the middle


@dataclass
class Emulator:
    """A running API; all methods may be called from any thread."""

    api: "_Api"
    loop: asyncio.AbstractEventLoop
    url: str

    def fail(self, method: str, path: str, status: int = 500, times: int = 1) -> Fault:
        """Let requests of a method to paths that match a pattern fail."""
        fault = Fault(method, path, status, times)
        self.api.faults.append(fault)
        return fault

    def objects(self, kind: str) -> dict[str, dict[str, Any]]:
        """The objects of a kind by name."""
        found: dict[str, dict[str, Any]] = self._do(lambda: self.api.existing(kind))
        return found

    def put(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object as a controller does."""
        stored: dict[str, Any] = self._do(lambda: self.api.put(kind, manifest), wait=True)
        return stored

    def patch(self, kind: str, name: str, changes: dict[str, Any]) -> None:
        """Merge changes into an object, its status mostly, as a controller does."""
        self._do(lambda: self.api.change(kind, name, changes), wait=True)

    def remove(self, kind: str, name: str) -> None:
        """Delete an object from outside."""
        self._do(lambda: self.api.remove(kind, name), wait=True)

    def log(self, pod: str, container: str = "") -> Log:
        """The log of a pod, to be written to: of one container, or of all that have none of their own."""
        return self.api.logs.setdefault(f"{pod}/{container}" if container else pod, Log())

    def requests(self) -> list[tuple[str, str]]:
        """Method and path of every request so far."""
        return [(str(request.method.value), request.url.path) for request in list(self.api.seen)]

    def forget(self) -> None:
        """Forget the requests and deleted objects so far, and let no more requests fail."""
        self._do(self.api.forget)

    def admit(self, kind: str, webhook: Callable[[dict[str, Any] | None, dict[str, Any]], str]) -> None:
        """Ask a webhook about every object of a kind that others than the operator write.

        Args:
            kind: Of the objects.
            webhook: Gets the object as it was, if it was, and as it is to be, which it may change; says why not.
        """
        self.api.webhooks[kind] = webhook

    def rights_used(self) -> set[Right]:
        """The rights that requests of the steps took."""
        return set(self.api.used)

    def kubeconfig(self, path: Path, user: str = STEPS) -> Path:
        """Write a kubeconfig that leads here."""
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "emulator",
                    "contexts": [
                        {
                            "name": "emulator",
                            "context": {"cluster": "emulator", "user": user, "namespace": NAMESPACE},
                        }
                    ],
                    "clusters": [{"name": "emulator", "cluster": {"server": self.url}}],
                    "users": [{"name": user, "user": {"token": f"token-of-{user}"}}],
                }
            )
        )
        return path

    def _do(self, action: Callable[[], Any], wait: bool = False) -> Any:
        async def run() -> Any:
            result = action()
            return await result if wait else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(timeout=30)


class _Api(kmock.KubernetesEmulator):
    """Adds to kmock's emulator: rights, what the server sets in metadata, selectors, owners, replacement, schemas."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.faults: list[Fault] = []
        self.logs: dict[str, Log] = {}
        self.webhooks: dict[str, Callable[[dict[str, Any] | None, dict[str, Any]], str]] = {}
        self.seen: list[Any] = []
        self.used: set[Right] = set()
        self.stopped = False  # ends the streams
        self.denied: set[tuple[str, str]] = set()  # (verb, resource) that access reviews refuse
        self._version = 0
        for resource, kind in RESOURCES.items():
            self.resources[resource] = {
                "kind": kind,
                "singular": kind.lower(),
                "namespaced": kind != "Namespace",
                "verbs": VERBS,
                "subresources": {"status"},
            }

    async def __call__(self, raw_request: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        """Answer a request; kmock takes the address of namespaces for the beginning of another one."""
        if (fixed := FIXED.get(raw_request.path.rstrip("/"))) is not None:
            return aiohttp.web.json_response(fixed)
        if (lacking := self._lacking(raw_request)) is not None:
            group, resource, verb = lacking
            return _status(403, f"{STEPS} cannot {verb} resource {resource} in API group '{group}'")
        match = re.fullmatch(r"/api/v1/namespaces(?:/([^/]+))?", raw_request.path)
        if match is None:
            response: aiohttp.web.StreamResponse = await super().__call__(raw_request)
            return response
        found, name = self.existing("Namespace"), match[1]
        if name is not None:
            return aiohttp.web.json_response(found[name]) if name in found else _status(404, f'"{name}" not found')
        if raw_request.query.get("watch") != "true":
            body = {"kind": "NamespaceList", "apiVersion": "v1", "items": list(found.values())}
            return aiohttp.web.json_response({**body, "metadata": {"resourceVersion": str(self._version)}})
        response = aiohttp.web.StreamResponse()
        await response.prepare(raw_request)
        while not (self.stopped or raw_request.transport is None or raw_request.transport.is_closing()):
            await asyncio.sleep(0.1)  # nothing changes
        return response

    def _lacking(self, request: aiohttp.web.BaseRequest) -> Right | None:
        """The right that a request of the steps takes and they do not have."""
        right = right_of(request.method, request.path, request.query)
        if right is None or not _is_from(request, STEPS):
            return None
        self.used.add(right)
        return None if right in granted() else right

    async def _handle(self, request: Any) -> aiohttp.web.StreamResponse:
        self.seen.append(request)
        for fault in self.faults if not _is_from(request._raw_request, OPERATOR) else ():
            if (
                fault.seen < fault.times
                and request.method.value == fault.method
                and re.search(fault.path, request.url.path)
            ):
                fault.seen += 1
                return self._fail(request, fault.status)
        if request.url.path.endswith(
            ("/selfsubjectaccessreviews", "/localsubjectaccessreviews", "/selfsubjectreviews")
        ):
            return self._review(request)
        if request.resource is not None and request.resource.plural == "pods" and request.subresource == "log":
            return await self._log(request)
        if request.resource is not None:
            if str(request.method.value) == "PUT" and request.name and request.subresource is None:
                return await self._replace(request)
            refusal = self._prepare(request)
            if refusal is not None:
                return refusal
        uid = self._uid(request)
        response: aiohttp.web.StreamResponse = await super()._handle(request)
        if uid is not None and self._stored(request) is None:  # not before its finalizers are gone
            for kind, name in self._dependents(uid):
                await self.remove(kind, name)
        return response

    def _fail(self, request: Any, status: int) -> aiohttp.web.Response:
        if status == 0:
            request._raw_request.transport.abort()
        return _status(status or 500, "injected failure")

    def _prepare(self, request: Any) -> aiohttp.web.Response | None:
        """Do to the body what the API server does before it stores an object, or refuse the request."""
        body = request.data
        if request.action == kmock.action.CREATE:
            if request.params.get("fieldValidation") == "Strict" and (wrong := _problems(body)):
                return _status(422, "; ".join(wrong))
            if refusal := self._denied(request, None, body):
                return _status(403, refusal)
            if request.params.get("dryRun") == "All":
                return aiohttp.web.json_response(body, status=201)
            if body.get("kind") == "Pod":
                body["status"] = {"phase": "Pending"}
            generated = body["metadata"].get("generateName")
            if generated and "name" not in body["metadata"]:
                body["metadata"]["name"] = generated + uuid.uuid4().hex[:5]
            body["metadata"] |= {
                "namespace": request.namespace,
                "uid": str(uuid.uuid4()),
                "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "generation": 1,
            }
        if request.action == kmock.action.UPDATE and request.name is not None:
            stored = self._stored(request)
            if stored is None:
                return _status(404, f"{request.name} not found")
            if refusal := self._denied(request, stored.raw, _merged(_plain(stored.raw), body)):
                return _status(403, refusal)
            if "spec" in body and body["spec"] != stored.get("spec"):
                body.setdefault("metadata", {})["generation"] = stored["metadata"].get("generation", 1) + 1
        if request.action in (kmock.action.CREATE, kmock.action.UPDATE) and isinstance(body, dict):
            self._version += 1
            body.setdefault("metadata", {})["resourceVersion"] = str(self._version)
        return None

    async def _replace(self, request: Any) -> aiohttp.web.Response:
        """PUT, which kmock does not know: all but the status, and what only the server sets, is as in the body."""
        stored, body = self._stored(request), request.data
        if stored is None:
            return _status(404, f"{request.name} not found")
        if request.params.get("fieldValidation") == "Strict" and (wrong := _problems(body)):
            return _status(422, "; ".join(wrong))
        had = _plain(stored["metadata"])
        if "resourceVersion" not in body["metadata"]:
            return _status(422, "metadata.resourceVersion: must be specified for an update")
        if body["metadata"]["resourceVersion"] != had["resourceVersion"]:
            return _status(409, "the object has been modified")
        if refusal := self._denied(request, stored.raw, body):
            return _status(403, refusal)
        self._version += 1
        fixed = {key: had[key] for key in ("namespace", "uid", "creationTimestamp", "deletionTimestamp") if key in had}
        changed = body.get("spec") != _plain(stored.raw).get("spec")
        new = {"resourceVersion": str(self._version), "generation": had.get("generation", 1) + changed}
        raw = {**body, "metadata": {**body["metadata"], **fixed, **new}}
        if "status" in stored:
            raw["status"] = _plain(stored["status"])
        stored.create(raw)
        await self._buses[request.resource].put({"type": "MODIFIED", "object": raw})
        return aiohttp.web.json_response(raw)

    def _denied(self, request: Any, old: Any, new: dict[str, Any]) -> str:
        webhook = self.webhooks.get(_kind(request.resource))
        if webhook is None or request.subresource is not None or _is_from(request._raw_request, OPERATOR):
            return ""
        reason = webhook(None if old is None else _plain(old), new)
        return f"admission webhook denied the request: {reason}" if reason else ""

    def _stored(self, request: Any) -> Any:
        key = (request.resource, request.namespace, request.name)
        found = self._objects[key] if key in self._objects else None  # noqa: SIM401 - it has no `get`
        return None if found is None or found.deleted else found

    def _uid(self, request: Any) -> str | None:
        """Of the object that a request may end."""
        stored = self._stored(request) if request.resource is not None and request.name is not None else None
        uid: str | None = None if stored is None else stored["metadata"].get("uid")
        return uid

    def _dependents(self, uid: str | None) -> list[tuple[str, str]]:
        found = []
        for (resource, _, name), item in list(self._objects.items()):
            if item.deleted:
                continue
            owners = [owner.get("uid") for owner in item.get("metadata", {}).get("ownerReferences", [])]
            if uid is not None and owners == [uid]:
                found.append((_kind(resource), name))
        return found

    def existing(self, kind: str) -> dict[str, dict[str, Any]]:
        return {
            name: _plain(item.raw)
            for (resource, _, name), item in self._objects.items()
            if _kind(resource) == kind and not item.deleted
        }

    def forget(self) -> None:
        for past in (self.seen, self.used, self.faults):
            past.clear()
        for key in [key for key, item in self._objects.items() if item.deleted]:
            del self._objects[key]

    async def put(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        resource = _resource(kind)
        metadata = {"namespace": NAMESPACE, "uid": str(uuid.uuid4()), "generation": 1, **manifest["metadata"]}
        self._version += 1
        raw = {**manifest, "kind": kind, "metadata": {**metadata, "resourceVersion": str(self._version)}}
        key = (resource, None if kind == "Namespace" else metadata["namespace"], metadata["name"])
        if key in self._objects:
            self._objects[key].create(raw)
        else:
            self._objects[key] = raw
        await self._buses[resource].put({"type": "ADDED", "object": raw})
        return raw

    async def change(self, kind: str, name: str, changes: dict[str, Any]) -> None:
        resource = _resource(kind)
        item = self._objects[(resource, NAMESPACE, name)]
        if item.deleted:
            return
        self._version += 1
        item.patch({**changes, "metadata": {**changes.get("metadata", {}), "resourceVersion": str(self._version)}})
        await self._buses[resource].put({"type": "MODIFIED", "object": item.raw})

    async def remove(self, kind: str, name: str) -> None:
        resource = _resource(kind)
        key = (resource, NAMESPACE, name)
        if key not in self._objects or self._objects[key].deleted:
            return
        item = self._objects[key]
        dependents, last = self._dependents(item["metadata"].get("uid")), item.raw
        item.delete()
        await self._buses[resource].put({"type": "DELETED", "object": last})
        for dependent in dependents:
            await self.remove(*dependent)

    async def _serve_list(self, request: Any) -> Any:
        listing = await super()._serve_list(request)
        listing["items"] = [
            item
            for item in listing["items"]
            if _selected(item, request.params.get("labelSelector", ""))
            and _has_fields(item, request.params.get("fieldSelector", ""))
        ]
        listing["metadata"]["resourceVersion"] = str(self._version)
        return listing

    async def _log(self, request: Any) -> aiohttp.web.StreamResponse:
        key = (_resource("Pod"), request.namespace, request.name)
        if key not in self._objects or self._objects[key].deleted:
            return _status(404, f'pods "{request.name}" not found')
        if self._objects[key].get("status", {}).get("phase") == "Pending":
            return _status(400, "the container is waiting to start: ContainerCreating")
        container = self.logs.get(f"{request.name}/{request.params.get('container', '')}")
        log = container or self.logs.setdefault(str(request.name), Log())
        stamps = request.params.get("timestamps", "").lower() == "true"
        if request.params.get("follow", "").lower() != "true":
            lines = log.text.splitlines(keepends=True)[-int(request.params.get("tailLines", "1000000")) :]
            return aiohttp.web.Response(text="".join(lines))
        response = aiohttp.web.StreamResponse()
        await response.prepare(request._raw_request)
        sent = 0
        while True:
            going_on, text = log.open, _stamped(log.text) if stamps else log.text
            await response.write(text[sent:].encode())
            sent = len(text)
            if log.drops and sent:
                log.drops -= 1
                request._raw_request.transport.abort()
                return response
            if self.stopped or not going_on:
                await response.write_eof()
                return response
            await asyncio.sleep(0.02)

    def _review(self, request: Any) -> aiohttp.web.Response:
        if "spec" not in request.data:  # who asks
            user = request._raw_request.headers.get("Authorization", "").removeprefix("Bearer token-of-")
            return aiohttp.web.json_response({**request.data, "status": {"userInfo": {"username": user}}}, status=201)
        wanted = request.data["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        allowed = (wanted["verb"], resource) not in self.denied
        return aiohttp.web.json_response({**request.data, "status": {"allowed": allowed}}, status=201)


@contextmanager
def running() -> Iterator[Emulator]:
    """Serve the API from a thread until the block is left."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    box: list[Emulator] = []
    stop = asyncio.Event()

    async def serve() -> None:
        async with _Api() as api, kmock.Server(api) as server:
            box.append(Emulator(api, loop, str(server.url).rstrip("/")))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield box[0]
    finally:
        box[0].api.stopped = True
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=30)


def _is_from(request: aiohttp.web.BaseRequest, user: str) -> bool:
    return request.headers.get("Authorization") == f"Bearer token-of-{user}"


def _stamped(text: str) -> str:
    """Each line with a time stamp as Kubernetes writes it, one second after the other."""
    lines = enumerate(text.splitlines(keepends=True))
    return "".join(f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.5Z {line}" for number, line in lines)


def _problems(body: dict[str, Any]) -> list[str]:
    return schemas.problems(body) if body.get("kind") in schemas.KNOWN else []


def _selected(item: dict[str, Any], selector: str) -> bool:
    labels = item.get("metadata", {}).get("labels", {})
    for term in filter(None, selector.split(",")):
        name, _, value = term.partition("=")
        if labels.get(name) != value.removeprefix("="):
            return False
    return True


def _has_fields(item: dict[str, Any], selector: str) -> bool:
    for term in filter(None, selector.split(",")):
        path, _, value = term.partition("=")
        found: Any = item
        for name in path.split("."):
            found = found.get(name, {})
        if found != value:
            return False
    return True


def _resource(kind: str) -> Any:
    (path,) = [path for path, known in RESOURCES.items() if known == kind]
    return kmock.resource(path)


def _kind(resource: Any) -> str:
    path = "/".join(filter(None, (resource.group, resource.version, resource.plural)))
    return RESOURCES.get(path, path)


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _merged(old: Any, changes: Any) -> Any:
    """A JSON merge patch."""
    if not (isinstance(old, dict) and isinstance(changes, dict)):
        return changes
    merged = {**old, **{key: _merged(old.get(key), value) for key, value in changes.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def _status(code: int, message: str) -> aiohttp.web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return aiohttp.web.json_response(body, status=code, headers={"Retry-After": "0"} if code == 429 else {})
