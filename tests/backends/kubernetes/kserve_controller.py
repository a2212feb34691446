"""Plays KServe on the emulated cluster: webhooks, pods and status of InferenceServices, and a server that answers.

It does what KServe 0.16 was seen to do on a real cluster, awkward as it is.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from tests.cluster.emulator import NAMESPACE, Emulator
from tests.cluster.warning_events import event_of

Manifest = dict[str, Any]
MODE = "serving.kserve.io/deploymentMode"
NEW_NAMES = {"RawDeployment": "Standard", "Serverless": "Knative"}
OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}
MODEL = "columbus-eclss-ad/model-version"
FINALIZER = "inferenceservice.finalizers"
CPU_LIMIT = "1"  # of a container without one


@dataclass
class KServe:
    """The controller; a test says by its fields how things go."""

    emulator: Emulator
    url: str = ""
    scores: dict[str, float] = field(default_factory=dict)  # by model, what it answers; 1.0 by default
    failing: dict[str, Manifest] = field(default_factory=dict)  # by model, container status of its pods
    failing_parts: tuple[str, ...] = ("predictor", "transformer")  # that `failing` is about
    idle: bool = False  # does nothing
    version: str = "0.16"  # or 0.15, which has older names of the modes, and knows no others
    default_mode: str = "Knative"  # for what has no mode, or one by an unknown name
    knative: bool = True  # is installed
    handled: dict[str, tuple[str, str]] = field(default_factory=dict)  # by service: uid and digest
    templates: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # by service and part: what its pods are made of
    unfinished: list[str] = field(default_factory=list)  # services whose new pods have been created only just
    revision: int = 0
    served: str = ""  # the model that answers
    requests: list[tuple[str, str]] = field(default_factory=list)  # host and model that answered
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look at all services again and again."""
        self.emulator.admit("InferenceService", admit)
        while not self.stopped.wait(0.01):
            if self.idle:
                continue
            services = self.emulator.objects("InferenceService")
            for name in set(self.handled) - set(services):
                self.forget(name)
            for name, service in services.items():
                if not self.stopped.is_set():
                    self.look(name, service)

    def look(self, name: str, service: Manifest) -> None:
        """Do what is to be done about a service now."""
        metadata = service["metadata"]
        if "deletionTimestamp" in metadata:
            self.finalize(name, service)
            return
        if FINALIZER not in metadata.get("finalizers", []):
            finalizers = [*metadata.get("finalizers", []), FINALIZER]
            self.emulator.patch("InferenceService", name, {"metadata": {"finalizers": finalizers}})
        if name in self.unfinished:
            self.unfinished.remove(name)
            self.finish(service)
            return
        state = (metadata["uid"], json.dumps([service["spec"], metadata.get("annotations"), metadata.get("labels")]))
        if self.handled.get(name) != state:
            self.handled[name] = state
            self.reconcile(service)
        elif metadata["uid"] == self.handled[name][0] and service.get("status", {}).get("address"):
            self.scale(service)

    def mode(self, service: Manifest) -> str:
        """The mode that a service runs in, as the status has it."""
        asked = service["metadata"].get("annotations", {}).get(MODE, "")
        names = OLD_NAMES if self.version == "0.15" else NEW_NAMES
        if self.version != "0.15":
            asked = NEW_NAMES.get(asked, asked)
        known = asked if asked in names.values() else ""
        default = OLD_NAMES[self.default_mode] if self.version == "0.15" else self.default_mode
        mode: str = service.get("status", {}).get("deploymentMode") or known or default
        return mode

    def reconcile(self, service: Manifest) -> None:
        """Make pods of what has changed; the status is as it was for a moment longer."""
        name, spec = service["metadata"]["name"], service["spec"]
        on_knative = NEW_NAMES.get(self.mode(service), self.mode(service)) == "Knative"
        if on_knative and not self.knative:
            message = "It is not possible to use Knative deployment mode when Knative Services are not available"
            self.warn(name, "ServerlessModeRejected", message)
            return
        templates = {part: template_of(service, part) for part in spec}
        changed = [part for part in spec if self.templates.get((name, part)) != json.dumps(templates[part])]
        self.revision += bool(changed)
        for part in changed:
            if not on_knative and (refusal := refused(spec[part])):
                message = f'fails to reconcile {part}: Deployment.apps "{name}-{part}" is invalid: {refusal}'
                self.warn(name, "InternalError", message)
                return
            self.templates[name, part] = json.dumps(templates[part])
            failure = self.failure(service, part) or {"ready": False}
            pod = pod_of(name, part, f"{name}-{part}-{self.revision}", templates[part], failure)
            self.emulator.put("Pod", pod)
        self.unfinished.append(name)

    def finish(self, service: Manifest) -> None:
        """Let the newest pods of every part be ready that do not fail, and those before end; write the status."""
        name, ready = service["metadata"]["name"], set()
        for part in service["spec"]:
            pods = self.pods(name, part)
            newest = pods[-1] if pods else ""
            failure = self.failure(service, part)
            if failure is None:
                ready.add(part)
                for pod in pods:
                    if pod != newest:
                        self.emulator.remove("Pod", pod)
            if newest:
                made = pod_of(name, part, newest, template_of(service, part), failure)
                self.emulator.patch("Pod", newest, {"status": made["status"]})
        if ready == set(service["spec"]):
            self.served = service["spec"]["predictor"].get("annotations", {}).get(MODEL, "")
        self.emulator.patch("InferenceService", name, {"status": self.status(service, ready)})

    def scale(self, service: Manifest) -> None:
        """Add a pod to a part that has fewer than it asks for: the autoscaler comes after the service is ready."""
        name = service["metadata"]["name"]
        for part, spec in service["spec"].items():
            pods = self.pods(name, part)
            if pods and len(pods) < spec.get("minReplicas", 1) and self.failure(service, part) is None:
                made = pod_of(name, part, f"{pods[0]}-{len(pods)}", template_of(service, part), None)
                self.emulator.put("Pod", made)

    def finalize(self, name: str, service: Manifest) -> None:
        """End a deletion, unless the webhook refuses the update of the finalizers."""
        if not admit(service, service):
            self.remove_pods(name)
            self.emulator.remove("InferenceService", name)
            self.forget(name)

    def forget(self, name: str) -> None:
        """Delete what is left of a service."""
        self.remove_pods(name)
        self.handled.pop(name, None)
        self.templates = {key: value for key, value in self.templates.items() if key[0] != name}
        self.unfinished = [other for other in self.unfinished if other != name]

    def failure(self, service: Manifest, part: str) -> Manifest | None:
        """The container status of pods that do not start."""
        model = service["spec"]["predictor"].get("annotations", {}).get(MODEL, "")
        return self.failing.get(model) if part in self.failing_parts else None

    def status(self, service: Manifest, ready: set[str]) -> Manifest:
        """The status of a service of which some parts have got ready.

        Ready does not ask for the transformer; on Knative the revision before keeps it true.
        """
        name, was = service["metadata"]["name"], service.get("status", {})
        mode, parts, components = self.mode(service), service["spec"], {}
        for part in parts:
            created = f"{name}-{part}-{self.revision:05d}"
            before = was.get("components", {}).get(part, {}).get("latestReadyRevision")
            host = f"http://{name}-{part}.{NAMESPACE}.svc.cluster.local"
            components[part] = {
                "latestCreatedRevision": created,
                **({"latestReadyRevision": created if part in ready else before} if part in ready or before else {}),
                "address": {"url": host},
            }
        serving = "predictor" in ready or bool(was.get("address"))
        fresh = {"predictor": "predictor" in ready, "transformer": "transformer" in ready}
        if mode in ("Knative", "Serverless"):
            fresh = dict.fromkeys(fresh, serving)
        names = {"predictor": "PredictorReady", "transformer": "TransformerReady"}
        holds = {"Ready": serving, "IngressReady": serving, **{names[part]: fresh[part] for part in parts}}
        why = {"reason": "MinimumReplicasUnavailable", "message": "no pod is ready"}
        return {
            "deploymentMode": mode,
            "observedGeneration": 7,  # a child's, not the service's: KServe does so
            "conditions": [
                {"type": kind, "status": "True"} if true else {"type": kind, "status": "False", **why}
                for kind, true in holds.items()
            ],
            "components": components,
            **({"address": {"url": self.url}} if serving else {}),
        }

    def warn(self, name: str, reason: str, message: str) -> None:
        """Say something in an event, and nowhere else."""
        self.emulator.put("Event", event_of("InferenceService", name, reason, message))

    def pods(self, service: str, part: str = "") -> list[str]:
        """The names of the pods of a service, or of one part of it."""
        return [
            name
            for name, pod in self.emulator.objects("Pod").items()
            if pod["metadata"]["labels"]["serving.kserve.io/inferenceservice"] == service
            and part in ("", pod["metadata"]["labels"]["component"])
        ]

    def remove_pods(self, service: str) -> None:
        """Delete the pods of a service."""
        for name in self.pods(service):
            self.emulator.remove("Pod", name)

    def answer(self, host: str) -> Manifest:
        """What the service answers to the smoke request."""
        self.requests.append((host, self.served))
        return {"predictions": [{"score": self.scores.get(self.served, 1.0)}], "model_version": self.served}


def admit(old: Manifest | None, new: Manifest) -> str:
    """The webhooks: the mode may not change, and names of one mode are told apart; CPU limits are filled in."""
    mode = (old or {}).get("status", {}).get("deploymentMode", "")
    asked = new["metadata"].get("annotations", {}).get(MODE, "")
    if mode and asked and mode != asked:
        return f"update rejected: deploymentMode cannot be changed from '{mode}' to '{asked}'"
    for part in new["spec"].values():
        for container in part["containers"]:
            container.setdefault("resources", {}).setdefault("limits", {}).setdefault("cpu", CPU_LIMIT)
    return ""


def refused(part: Manifest) -> str:
    """Why Kubernetes takes no Deployment of a part."""
    for container in part["containers"]:
        resources = container.get("resources", {})
        asked, limit = (resources.get(kind, {}).get("cpu", CPU_LIMIT) for kind in ("requests", "limits"))
        if parse_quantity(asked) > parse_quantity(limit):
            return (
                "spec.template.spec.containers[0].resources.requests: "
                f'Invalid value: "{asked}": must be less than or equal to cpu limit of {limit}'
            )
    return ""


def template_of(service: Manifest, part: str) -> Manifest:
    """What the pods of a part are made of: its own annotations and labels come before those of the service."""
    metadata, spec = service["metadata"], service["spec"][part]
    kept = {key: value for key, value in spec.items() if key not in ("minReplicas", "maxReplicas")}
    return {
        **kept,
        "annotations": {**metadata.get("annotations", {}), **spec.get("annotations", {})},
        "labels": {**metadata.get("labels", {}), **spec.get("labels", {})},
    }


def pod_of(service: str, part: str, name: str, spec: Manifest, failing: Manifest | None) -> Manifest:
    """A pod as KServe's Deployment makes it of a part of a service."""
    container = {"name": "kserve-container", "image": "image", "imageID": "", "restartCount": 0, "ready": True}
    if failing is None or "state" not in failing:
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
