"""Plays KServe on the emulated cluster: pods and status of InferenceServices, and an HTTP server that answers there."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.cluster.emulator import NAMESPACE, Emulator

Manifest = dict[str, Any]
MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
MODEL = "columbus-eclss-ad/model-version"


@dataclass
class KServe:
    """The controller; a test says by its fields how things go."""

    emulator: Emulator
    url: str = ""
    scores: dict[str, float] = field(default_factory=dict)  # by model, what it answers; 1.0 by default
    failing: dict[str, Manifest] = field(default_factory=dict)  # by model, container status of its pods
    idle: bool = False  # does nothing
    default_mode: str = ""  # runs everything in this mode, whatever is asked for
    handled: dict[str, tuple[str, str]] = field(default_factory=dict)  # by service: uid and digest
    revision: int = 0
    served: str = ""  # the model that answers
    requests: list[tuple[str, str]] = field(default_factory=list)  # host and model that answered
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look at all services again and again."""
        while not self.stopped.wait(0.01):
            services = {} if self.idle else self.emulator.objects("InferenceService")
            for name in set(self.handled) - set(services) if not self.idle else ():
                self.remove_pods(name)
                del self.handled[name]
            for name, service in services.items():
                state = (service["metadata"]["uid"], json.dumps(service["spec"]))
                if self.handled.get(name) != state and not self.stopped.is_set():
                    self.reconcile(service)
                    self.handled[name] = state

    def reconcile(self, service: Manifest) -> None:
        """Replace the pods of a service and write its status."""
        name, spec = service["metadata"]["name"], service["spec"]
        model = spec["predictor"].get("annotations", {}).get(MODEL, "")
        self.revision += 1
        failing = self.failing.get(model)
        old = [name for name, pod in self.emulator.objects("Pod").items()]
        for part in spec:
            self.emulator.put("Pod", pod_of(name, part, f"{name}-{part}-{self.revision}", spec[part], failing))
        if failing is None:
            for pod in old:
                self.emulator.remove("Pod", pod)
            self.served = model
        self.emulator.patch("InferenceService", name, {"status": self.status(service, failing is None)})

    def status(self, service: Manifest, ready: bool) -> Manifest:
        """The status of a service whose newest pods are ready or not; in Standard mode the older ones keep it so."""
        name, was = service["metadata"]["name"], service.get("status", {})
        asked = service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        mode = self.default_mode or was.get("deploymentMode") or MODES.get(asked, asked)
        components = {}
        for part in service["spec"]:
            created = f"{name}-{part}-{self.revision:05d}"
            before = was.get("components", {}).get(part, {}).get("latestReadyRevision")
            host = f"http://{name}-{part}.{NAMESPACE}.svc.cluster.local"
            components[part] = {
                "latestCreatedRevision": created,
                **({"latestReadyRevision": created if ready else before} if ready or before else {}),
                "address": {"url": host},
            }
        serving = "True" if ready or bool(was.get("address")) else "False"
        why = {} if serving == "True" else {"reason": "MinimumReplicasUnavailable", "message": "no pod is ready"}
        parts = {"predictor": "PredictorReady", "transformer": "TransformerReady"}
        return {
            "deploymentMode": mode,
            "observedGeneration": 7,  # a child's, not the service's: KServe does so
            "conditions": [
                {"type": kind, "status": serving, **why}
                for kind in ("Ready", "IngressReady", *(parts[part] for part in service["spec"]))
            ],
            "components": components,
            **({"address": {"url": self.url}} if serving == "True" else {}),
        }

    def remove_pods(self, service: str) -> None:
        """Delete what is left of a service."""
        for name, pod in self.emulator.objects("Pod").items():
            if pod["metadata"]["labels"]["serving.kserve.io/inferenceservice"] == service:
                self.emulator.remove("Pod", name)

    def answer(self, host: str) -> Manifest:
        """What the service answers to the smoke request."""
        self.requests.append((host, self.served))
        return {"predictions": [{"score": self.scores.get(self.served, 1.0)}], "model_version": self.served}


def pod_of(service: str, part: str, name: str, spec: Manifest, failing: Manifest | None) -> Manifest:
    """A pod as KServe's Deployment makes it of a part of a service."""
    container = {"name": "kserve-container", "image": "image", "imageID": "", "restartCount": 0, "ready": True}
    if failing is None:
        container["state"] = {"running": {}}
    return {
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "labels": {"serving.kserve.io/inferenceservice": service, "component": part, **spec.get("labels", {})},
            "annotations": spec.get("annotations", {}),
        },
        "spec": {"containers": spec["containers"]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if failing is None else "False"}],
            "containerStatuses": [{**container, **(failing or {})}],
        },
    }


@contextmanager
def playing(controller: KServe) -> Iterator[KServe]:
    """Run the controller and the server until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            content = json.dumps(controller.answer(self.headers["host"])).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        controller.url = f"http://127.0.0.1:{server.server_port}"
        threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}),
            threading.Thread(target=controller.run),
        ]
        for thread in threads:
            thread.start()
        try:
            yield controller
        finally:
            controller.stopped.set()
            server.shutdown()
            for thread in threads:
                thread.join()
