"""A stand-in for Kubeflow's Model Registry: an HTTP server in memory.

It is not the registry's own server, which needs a database. It knows the paths of the published OpenAPI description
that registration uses, and checks every request and every answer against the models that are generated from that
description (`mr_openapi`): required fields, types, patterns, and no field that the description does not have.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import mr_openapi
import trustme

TIME = {"createTimeSinceEpoch": "1", "lastUpdateTimeSinceEpoch": "1"}


class Registry(ThreadingHTTPServer):
    """The server; its lists are what it stores.

    Args:
        api: Version of the API in the paths.
        token: Token that requests must bear; empty: any.
    """

    daemon_threads = True

    def __init__(self, api: str = "v1", token: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prefix, self.token = f"/api/model_registry/{api}", token
        self.models: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.problems: list[str] = []  # of requests that the description does not allow
        self.requests: list[str] = []
        self.fails_at = ""  # part of a path that is answered with 500
        self.hides_models = 0  # how often a search does not find a model that exists, as in a race

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server_port}"

    def encrypt(self, authority: trustme.CA) -> "Registry":
        """Speak TLS with a certificate of this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        return self


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """Serve while the block runs, and check that all requests were allowed."""
    thread = Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        registry.shutdown()
        thread.join()
        registry.server_close()
    assert registry.problems == []


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.requests.append(f"{self.command} {parts.path}")
        if not parts.path.startswith(f"{self.server.prefix}/"):
            self._send(404, "404 page not found", "text/plain")
            return
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer(401, mr_openapi.Error, {"code": "401", "message": "no valid token"})
            return
        path = parts.path.removeprefix(f"{self.server.prefix}/")
        if self.server.fails_at and self.server.fails_at in path:
            self._answer(500, mr_openapi.Error, {"code": "500", "message": "database is locked"})
            return
        self._route(path.split("/"), dict(parse_qsl(parts.query)), body)

    def _route(self, path: list[str], query: dict[str, str], body: str) -> None:
        registry = self.server
        match self.command, path:
            case "GET", ["registered_models"]:
                self._check_query(query, "pageSize", "nextPageToken", "orderBy", "sortOrder", "filterQuery")
                self._list(mr_openapi.RegisteredModelList, registry.models)
            case "GET", ["registered_model"]:
                self._check_query(query, "name", "externalId")
                hidden, registry.hides_models = registry.hides_models > 0, registry.hides_models - 1
                self._find(mr_openapi.RegisteredModel, [] if hidden else registry.models, name=query["name"])
            case "POST", ["registered_models"]:
                self._create(mr_openapi.RegisteredModelCreate, mr_openapi.RegisteredModel, registry.models, body)
            case "GET", ["model_version"]:
                self._check_query(query, "name", "externalId", "parentResourceId")
                wanted = {"name": query["name"], "registeredModelId": query["parentResourceId"]}
                self._find(mr_openapi.ModelVersion, registry.versions, **wanted)
            case "POST", ["model_versions"]:
                self._create(mr_openapi.ModelVersionCreate, mr_openapi.ModelVersion, registry.versions, body)
            case "GET", ["model_versions", version, "artifacts"]:
                allowed = ("name", "externalId", "artifactType", "pageSize", "nextPageToken", "orderBy", "sortOrder")
                self._check_query(query, *allowed, "filterQuery")
                found = [item for item in registry.artifacts if item["modelVersionId"] == version]
                self._list(mr_openapi.ArtifactList, found)
            case "POST", ["model_versions", version, "artifacts"]:
                parent = {"modelVersionId": version}
                self._create(mr_openapi.Artifact, mr_openapi.Artifact, registry.artifacts, body, **parent)
            case _:
                registry.problems.append(f"{self.command} {self.path}: the description has no such path")
                self._answer(404, mr_openapi.Error, {"code": "404", "message": "no such path"})

    def _check_query(self, query: dict[str, str], *allowed: str) -> None:
        self.server.problems += [f"{self.path}: {name} is no parameter" for name in {*query} - {*allowed}]

    def _create(self, wanted: Any, stored: Any, items: list[dict[str, Any]], body: str, **more: str) -> None:
        given = json.loads(body)
        try:
            known = wanted.from_json(body).to_dict()
        except ValueError as error:
            self.server.problems.append(f"{self.path}: {error}")
            self._answer(400, mr_openapi.Error, {"code": "400", "message": "invalid"})
            return
        self.server.problems += [f"{self.path}: {name} is no field" for name in {*given} - {*known}]
        keys = ("name", "registeredModelId")
        if any(all(item.get(key) == given.get(key) for key in keys) for item in items):
            self._answer(409, mr_openapi.Error, {"code": "409", "message": "it exists"})
            return
        item = {**given, **TIME, "id": str(len(items) + 1), **more}
        items.append(item)
        self._answer(201, stored, item)

    def _find(self, kind: Any, items: list[dict[str, Any]], **wanted: str) -> None:
        found = [item for item in items if wanted.items() <= item.items()]
        if found:
            self._answer(200, kind, found[0])
        else:
            self._answer(404, mr_openapi.Error, {"code": "404", "message": "not found"})

    def _list(self, kind: Any, items: list[dict[str, Any]]) -> None:
        self._answer(200, kind, {"items": items, "size": len(items), "pageSize": 100, "nextPageToken": ""})

    def _answer(self, status: int, kind: Any, value: dict[str, Any]) -> None:
        kind.from_json(json.dumps(value))  # raises if the description does not allow this answer
        self._send(status, json.dumps(value), "application/json")

    def _send(self, status: int, text: str, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())
