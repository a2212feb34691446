"""Fake KServe on the emulated cluster: webhooks, pods and status of InferenceServices, and a server that answers.

It behaves like KServe 0.16 on a real cluster, with its oddities.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.backends.kubernetes.kserve_objects import MODE, Manifest, admit, pod_of, refused, template_of
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.cluster.warning_events import event_of

NEW_NAMES = {"RawDeployment": "Standard", "Serverless": "Knative"}
OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}
MODEL = "columbus-eclss-ad/model-version"
FINALIZER = "inferenceservice.finalizers"


@dataclass
class KServe:
    """Controller; the fields set its behaviour."""

    emulator: Emulator
    url: str = ""
    scores: dict[str, float] = field(default_factory=dict)  # answers by model; the default is 1.0
    failing: dict[str, Manifest] = field(default_factory=dict)  # container status of the pods, by model
    failing_components: tuple[str, ...] = ("predictor", "transformer")  # components that `failing` applies to
    idle: bool = False  # does nothing
    version: str = "0.16"  # or 0.15, which knows only the older names of the modes
    default_mode: str = "Knative"  # for services with no mode, or an unknown one
    knative: bool = True  # whether Knative is installed
    handled: dict[str, tuple[str, str]] = field(default_factory=dict)  # uid and digest by service
    templates: dict[tuple[str, str], str] = field(default_factory=dict)  # of pods, by service and component
    unfinished: list[str] = field(default_factory=list)  # services whose new pods were just created
    revision: int = 0
    served: str = ""  # model that answers
    requests: list[tuple[str, str]] = field(default_factory=list)  # host and model that answered
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Reconcile all services until stopped."""
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
        """Take the next step for a service."""
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
        """Return the mode of a service as its status names it."""
        asked = service["metadata"].get("annotations", {}).get(MODE, "")
        names = OLD_NAMES if self.version == "0.15" else NEW_NAMES
        if self.version != "0.15":
            asked = NEW_NAMES.get(asked, asked)
        known = asked if asked in names.values() else ""
        default = OLD_NAMES[self.default_mode] if self.version == "0.15" else self.default_mode
        mode: str = service.get("status", {}).get("deploymentMode") or known or default
        return mode

    def reconcile(self, service: Manifest) -> None:
        """Create pods for what has changed; the status changes a moment later."""
        name, spec = service["metadata"]["name"], service["spec"]
        on_knative = NEW_NAMES.get(self.mode(service), self.mode(service)) == "Knative"
        if on_knative and not self.knative:
            message = "It is not possible to use Knative deployment mode when Knative Services are not available"
            self.warn(name, "ServerlessModeRejected", message)
            return
        templates = {component: template_of(service, component) for component in spec}
        changed = [
            component for component in spec if self.templates.get((name, component)) != json.dumps(templates[component])
        ]
        self.revision += bool(changed)
        for component in changed:
            if not on_knative and (refusal := refused(spec[component])):
                message = f'fails to reconcile {component}: Deployment.apps "{name}-{component}" is invalid: {refusal}'
                self.warn(name, "InternalError", message)
                return
            self.templates[name, component] = json.dumps(templates[component])
            failure = self.failure(service, component) or {"ready": False}
            pod = pod_of(name, component, f"{name}-{component}-{self.revision}", templates[component], failure)
            self.emulator.put("Pod", pod)
        self.unfinished.append(name)

    def finish(self, service: Manifest) -> None:
        """Make the newest pods ready unless they fail, remove the older ones, and write the status."""
        name, ready = service["metadata"]["name"], set()
        for component in service["spec"]:
            pods = self.pods(name, component)
            newest = pods[-1] if pods else ""
            failure = self.failure(service, component)
            if failure is None:
                ready.add(component)
                for pod in pods:
                    if pod != newest:
                        self.emulator.remove("Pod", pod)
            if newest:
                made = pod_of(name, component, newest, template_of(service, component), failure)
                self.emulator.patch("Pod", newest, {"status": made["status"]})
        if ready == set(service["spec"]):
            self.served = service["spec"]["predictor"].get("annotations", {}).get(MODEL, "")
        self.emulator.patch("InferenceService", name, {"status": self.status(service, ready)})

    def scale(self, service: Manifest) -> None:
        """Add a missing replica; the autoscaler does so after the service is ready."""
        name = service["metadata"]["name"]
        for component, spec in service["spec"].items():
            pods = self.pods(name, component)
            if pods and len(pods) < spec.get("minReplicas", 1) and self.failure(service, component) is None:
                made = pod_of(name, component, f"{pods[0]}-{len(pods)}", template_of(service, component), None)
                self.emulator.put("Pod", made)

    def finalize(self, name: str, service: Manifest) -> None:
        """Finish a deletion, unless the webhook refuses the update of the finalizers."""
        if not admit(service, service):
            self.remove_pods(name)
            self.emulator.remove("InferenceService", name)
            self.forget(name)

    def forget(self, name: str) -> None:
        """Delete the pods and the state of a service."""
        self.remove_pods(name)
        self.handled.pop(name, None)
        self.templates = {key: value for key, value in self.templates.items() if key[0] != name}
        self.unfinished = [other for other in self.unfinished if other != name]

    def failure(self, service: Manifest, component: str) -> Manifest | None:
        """Return the container status of pods that do not start."""
        model = service["spec"]["predictor"].get("annotations", {}).get(MODEL, "")
        return self.failing.get(model) if component in self.failing_components else None

    def status(self, service: Manifest, ready: set[str]) -> Manifest:
        """Return the status of a service, given the components that are ready.

        Ready ignores the transformer; on Knative the previous revision keeps it true.
        """
        name, was = service["metadata"]["name"], service.get("status", {})
        mode, spec, components = self.mode(service), service["spec"], {}
        for component in spec:
            created = f"{name}-{component}-{self.revision:05d}"
            before = was.get("components", {}).get(component, {}).get("latestReadyRevision")
            host = f"http://{name}-{component}.{NAMESPACE}.svc.cluster.local"
            components[component] = {
                "latestCreatedRevision": created,
                **(
                    {"latestReadyRevision": created if component in ready else before}
                    if component in ready or before
                    else {}
                ),
                "address": {"url": host},
            }
        serving = "predictor" in ready or bool(was.get("address"))
        fresh = {"predictor": "predictor" in ready, "transformer": "transformer" in ready}
        if mode in ("Knative", "Serverless"):
            fresh = dict.fromkeys(fresh, serving)
        names = {"predictor": "PredictorReady", "transformer": "TransformerReady"}
        holds = {
            "Ready": serving,
            "IngressReady": serving,
            **{names[component]: fresh[component] for component in spec},
        }
        why = {"reason": "MinimumReplicasUnavailable", "message": "no pod is ready"}
        return {
            "deploymentMode": mode,
            "observedGeneration": 7,  # of a child object, as KServe does
            "conditions": [
                {"type": kind, "status": "True"} if true else {"type": kind, "status": "False", **why}
                for kind, true in holds.items()
            ],
            "components": components,
            **({"address": {"url": self.url}} if serving else {}),
        }

    def warn(self, name: str, reason: str, message: str) -> None:
        """Report a problem only in an event."""
        self.emulator.put("Event", event_of("InferenceService", name, reason, message))

    def pods(self, service: str, component: str = "") -> list[str]:
        """Return the names of the pods of a service, or of one of its components; pods of others may be there too."""
        labels = {name: pod["metadata"].get("labels", {}) for name, pod in self.emulator.objects("Pod").items()}
        return [
            name
            for name, own in labels.items()
            if own.get("serving.kserve.io/inferenceservice") == service and component in ("", own["component"])
        ]

    def remove_pods(self, service: str) -> None:
        """Delete the pods of a service."""
        for name in self.pods(service):
            self.emulator.remove("Pod", name)

    def answer(self, host: str) -> Manifest:
        """Return the answer to the smoke request."""
        self.requests.append((host, self.served))
        return {"predictions": [{"score": self.scores.get(self.served, 1.0)}], "model_version": self.served}


@contextmanager
def playing(controller: KServe) -> Iterator[KServe]:
    """Run the controller and the server until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            content = json.dumps(controller.answer(self.headers["host"])).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

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
