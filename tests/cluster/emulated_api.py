"""API server based on kmock's, with the rules of the real one that the code depends on."""

import asyncio
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp.web
import kmock

from tests.cluster.emulated_objects import (
    FIXED,
    NAMESPACE,
    OPERATOR,
    RESOURCES,
    STEPS,
    VERBS,
    Fault,
    Log,
    has_fields,
    is_from,
    kind_of,
    merge,
    plain,
    resource_of,
    schema_problems,
    selected,
    stamped,
    status_answer,
)
from tests.cluster.rights import Right, granted, right_of


class Api(kmock.KubernetesEmulator):  # type: ignore[misc] # kmock has no types
    """kmock's emulator with rights, server-set metadata, selectors, owners, replacement and schemas."""

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
        """Answer a request; requests for namespaces are answered here because kmock misreads their paths."""
        if (fixed := FIXED.get(raw_request.path.rstrip("/"))) is not None:
            return aiohttp.web.json_response(fixed)
        if (missing := self._missing_right(raw_request)) is not None:
            group, resource, verb = missing
            return status_answer(403, f"{STEPS} cannot {verb} resource {resource} in API group '{group}'")
        match = re.fullmatch(r"/api/v1/namespaces(?:/([^/]+))?", raw_request.path)
        if match is None:
            response: aiohttp.web.StreamResponse = await super().__call__(raw_request)
            return response
        found, name = self.existing("Namespace"), match[1]
        if name is not None:
            return (
                aiohttp.web.json_response(found[name]) if name in found else status_answer(404, f'"{name}" not found')
            )
        if raw_request.query.get("watch") != "true":
            body = {"kind": "NamespaceList", "apiVersion": "v1", "items": list(found.values())}
            return aiohttp.web.json_response({**body, "metadata": {"resourceVersion": str(self._version)}})
        response = aiohttp.web.StreamResponse()
        await response.prepare(raw_request)
        while not (self.stopped or raw_request.transport is None or raw_request.transport.is_closing()):
            await asyncio.sleep(0.1)  # nothing changes
        return response

    def _missing_right(self, request: aiohttp.web.BaseRequest) -> Right | None:
        """Return the right that a request of the steps needs and they do not have."""
        right = right_of(request.method, request.path, request.query)
        if right is None or not is_from(request, STEPS):
            return None
        self.used.add(right)
        return None if right in granted() else right

    async def _handle(self, request: Any) -> aiohttp.web.StreamResponse:
        self.seen.append(request)
        del self._requests[:-1]  # kmock compares each request with all before it, which takes quadratic time
        for fault in self.faults if not is_from(request._raw_request, OPERATOR) else ():
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
        if uid is not None and self._stored(request) is None:  # None only after its finalizers are gone
            for kind, name in self._dependents(uid):
                await self.remove(kind, name)
        return response

    def _fail(self, request: Any, status: int) -> aiohttp.web.Response:
        if status == 0:
            request._raw_request.transport.abort()
        return status_answer(status or 500, "injected failure")

    def _prepare(self, request: Any) -> aiohttp.web.Response | None:
        """Change the body as the API server does before it stores an object, or refuse the request."""
        body = request.data
        if request.action == kmock.action.CREATE:
            if request.params.get("fieldValidation") == "Strict" and (wrong := schema_problems(body)):
                return status_answer(422, "; ".join(wrong))
            if refusal := self._refusal(request, None, body):
                return status_answer(403, refusal)
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
                return status_answer(404, f"{request.name} not found")
            if refusal := self._refusal(request, stored.raw, merge(plain(stored.raw), body)):
                return status_answer(403, refusal)
            if "spec" in body and body["spec"] != stored.get("spec"):
                body.setdefault("metadata", {})["generation"] = stored["metadata"].get("generation", 1) + 1
        if request.action in (kmock.action.CREATE, kmock.action.UPDATE) and isinstance(body, dict):
            self._version += 1
            body.setdefault("metadata", {})["resourceVersion"] = str(self._version)
        return None

    async def _replace(self, request: Any) -> aiohttp.web.Response:
        """Answer PUT, which kmock does not support; the status and server-set metadata are kept."""
        stored, body = self._stored(request), request.data
        if stored is None:
            return status_answer(404, f"{request.name} not found")
        if request.params.get("fieldValidation") == "Strict" and (wrong := schema_problems(body)):
            return status_answer(422, "; ".join(wrong))
        had = plain(stored["metadata"])
        if "resourceVersion" not in body["metadata"]:
            return status_answer(422, "metadata.resourceVersion: must be specified for an update")
        if body["metadata"]["resourceVersion"] != had["resourceVersion"]:
            return status_answer(409, "the object has been modified")
        if refusal := self._refusal(request, stored.raw, body):
            return status_answer(403, refusal)
        self._version += 1
        fixed = {key: had[key] for key in ("namespace", "uid", "creationTimestamp", "deletionTimestamp") if key in had}
        changed = body.get("spec") != plain(stored.raw).get("spec")
        new = {"resourceVersion": str(self._version), "generation": had.get("generation", 1) + changed}
        raw = {**body, "metadata": {**body["metadata"], **fixed, **new}}
        if "status" in stored:
            raw["status"] = plain(stored["status"])
        stored.create(raw)
        await self._buses[request.resource].put({"type": "MODIFIED", "object": raw})
        return aiohttp.web.json_response(raw)

    def _refusal(self, request: Any, old: Any, new: dict[str, Any]) -> str:
        webhook = self.webhooks.get(kind_of(request.resource))
        if webhook is None or request.subresource is not None or is_from(request._raw_request, OPERATOR):
            return ""
        reason = webhook(None if old is None else plain(old), new)
        return f"admission webhook denied the request: {reason}" if reason else ""

    def _stored(self, request: Any) -> Any:
        key = (request.resource, request.namespace, request.name)
        found = self._objects[key] if key in self._objects else None  # noqa: SIM401 - it has no `get`
        return None if found is None or found.deleted else found

    def _uid(self, request: Any) -> str | None:
        """Return the UID of the object of a request."""
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
                found.append((kind_of(resource), name))
        return found

    def existing(self, kind: str) -> dict[str, dict[str, Any]]:
        return {
            name: plain(item.raw)
            for (resource, _, name), item in self._objects.items()
            if kind_of(resource) == kind and not item.deleted
        }

    def forget(self) -> None:
        for past in (self.seen, self.used, self.faults):
            past.clear()
        for key in [key for key, item in self._objects.items() if item.deleted]:
            del self._objects[key]

    async def put(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        resource = resource_of(kind)
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
        resource = resource_of(kind)
        item = self._objects[(resource, NAMESPACE, name)]
        if item.deleted:
            return
        self._version += 1
        item.patch({**changes, "metadata": {**changes.get("metadata", {}), "resourceVersion": str(self._version)}})
        await self._buses[resource].put({"type": "MODIFIED", "object": item.raw})

    async def remove(self, kind: str, name: str) -> None:
        resource = resource_of(kind)
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
            if selected(item, request.params.get("labelSelector", ""))
            and has_fields(item, request.params.get("fieldSelector", ""))
        ]
        listing["metadata"]["resourceVersion"] = str(self._version)
        return listing

    async def _log(self, request: Any) -> aiohttp.web.StreamResponse:
        key = (resource_of("Pod"), request.namespace, request.name)
        if key not in self._objects or self._objects[key].deleted:
            return status_answer(404, f'pods "{request.name}" not found')
        if self._objects[key].get("status", {}).get("phase") == "Pending":
            return status_answer(400, "the container is waiting to start: ContainerCreating")
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
            is_open, text = log.open, stamped(log.text) if stamps else log.text
            await response.write(text[sent:].encode())
            sent = len(text)
            if log.drops and sent:
                log.drops -= 1
                request._raw_request.transport.abort()
                return response
            if self.stopped or not is_open:
                await response.write_eof()
                return response
            await asyncio.sleep(0.02)

    def _review(self, request: Any) -> aiohttp.web.Response:
        if "spec" not in request.data:  # a SelfSubjectReview
            user = request._raw_request.headers.get("Authorization", "").removeprefix("Bearer token-of-")
            return aiohttp.web.json_response({**request.data, "status": {"userInfo": {"username": user}}}, status=201)
        wanted = request.data["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        allowed = (wanted["verb"], resource) not in self.denied
        return aiohttp.web.json_response({**request.data, "status": {"allowed": allowed}}, status=201)
