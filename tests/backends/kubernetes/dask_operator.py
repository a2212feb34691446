"""The real Dask operator on the emulated cluster, and a helper that runs its Deployments as local processes."""

import multiprocessing
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import dask
import pytest

from container_component_src.processes import PROJECT_ROOT
from tests.backends.kubernetes.containers import environment_of
from tests.cluster.emulator import NAMESPACE, OPERATOR, Emulator

Manifest = dict[str, Any]
# Names of services of the cluster lead to the address of its scheduler here.
GRACE_SECONDS = 10.0  # for a process to end after SIGTERM
RESOLVER = """
import os, socket, sys
sys.modules["uvloop"] = None  # kopf would take it where it is installed, and resolve names in its own way
_original = socket.getaddrinfo
def _resolve(host, *arguments, **options):
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.split(".")[1:2] == ["{namespace}"]:
        host = os.environ["SCHEDULER_ADDRESS"]
    return _original(host, *arguments, **options)
socket.getaddrinfo = _resolve
"""
# A process that has imported Dask, from which the pods are forked: a scheduler or worker imports it for longer than it
# works here.
IMPORTED = multiprocessing.get_context("forkserver")
IMPORTED.set_forkserver_preload(["distributed.cli.dask_scheduler", "distributed.cli.dask_worker", __name__])


def run_dask(arguments: list[str], variables: dict[str, str], folder: Path, log: Path) -> None:
    """Be the process of a container."""
    os.chdir(folder)
    with log.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(variables)
    exec((folder / "sitecustomize.py").read_text(), {})
    dask.config.refresh()  # it has been read without these variables
    program, *sys.argv[1:] = arguments
    assert program == "dask"
    from dask.__main__ import main

    main()


@dataclass
class Kubelet:
    """Starts the container of each Deployment as a process, and says so in a pod.

    A pod that a quota refuses does not come into being, and only an event of the Deployment's ReplicaSet says so.
    """

    emulator: Emulator
    folder: Path
    waiting: dict[str, Manifest] = field(default_factory=dict)  # by component, status of pods that do not start
    refused: set[str] = field(default_factory=set)  # components whose pods a quota refuses
    address: str = field(default_factory=lambda: f"127.0.{random.randrange(1, 250)}.{random.randrange(1, 250)}")
    processes: dict[str, ForkServerProcess] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        (self.folder / "sitecustomize.py").write_text(RESOLVER.format(namespace=NAMESPACE))

    @property
    def environment(self) -> dict[str, str]:
        """With which programs find services of the cluster."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        modules = os.pathsep.join([str(self.folder), str(PROJECT_ROOT)])
        nanny = {"DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "fork"}  # it has imported what its worker needs
        return {"PATH": path, "PYTHONPATH": modules, "SCHEDULER_ADDRESS": self.address, **nanny}

    def run(self) -> None:
        """Look at all Deployments again and again."""
        seen: dict[str, str] = {}  # UID by name: a Deployment may be replaced by another of its name between two looks
        while not self.stopped.wait(0.2):
            deployments = self.emulator.objects("Deployment")
            uids = {name: found["metadata"]["uid"] for name, found in deployments.items()}
            for name in [name for name, uid in seen.items() if uids.get(name) != uid]:
                self.stop(name)
                del seen[name]
            for name in uids.keys() - seen:
                if self.start(name, deployments[name]):
                    seen[name] = uids[name]
            self.serve()
        for name in seen:
            self.stop(name)

    def start(self, name: str, deployment: Manifest) -> bool:
        """Start the one pod of a Deployment; False if a quota refuses it, which is tried again."""
        template = deployment["spec"]["template"]
        labels = template["metadata"]["labels"]
        component = labels["dask.org/component"]
        if component in self.refused:
            self.refuse(name)
            return False
        status = self.waiting.get(component)
        if status is None:
            (container,) = template["spec"]["containers"]
            variables = {**self.environment, **environment_of(container, os.environ)}
            # A pod has an address of its own, and Kubernetes puts variables in place.
            arguments = [part.replace("0.0.0.0", self.address) for part in container["args"]]
            arguments = [
                part.replace("$(DASK_WORKER_NAME)", variables.get("DASK_WORKER_NAME", "")) for part in arguments
            ]
            if component == "scheduler":
                arguments += ["--dashboard-address", f"{self.address}:8787"]
            log = self.folder / f"{name}.log"
            self.processes[name] = IMPORTED.Process(target=run_dask, args=(arguments, variables, self.folder, log))
            self.processes[name].start()
            ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
            status = {"phase": "Running", "conditions": ready}
        self.emulator.put(
            "Pod",
            {
                "apiVersion": "v1",
                "metadata": {
                    "name": name,
                    "labels": labels,
                    "ownerReferences": [
                        {
                            "apiVersion": "apps/v1",
                            "kind": "Deployment",
                            "name": name,
                            "uid": deployment["metadata"]["uid"],
                        }
                    ],
                },
                "spec": {"containers": template["spec"]["containers"]},
                "status": status,
            },
        )
        return True

    def refuse(self, name: str) -> None:
        """Say that a quota refuses the pod of a Deployment."""
        replica_set = f"{name}-5d8f7c"
        message = f'pods "{replica_set}-x2x4b" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1'
        self.emulator.put(
            "Event",
            {
                "apiVersion": "v1",
                "metadata": {"name": f"{replica_set}.1"},
                "involvedObject": {"kind": "ReplicaSet", "name": replica_set, "namespace": NAMESPACE},
                "type": "Warning",
                "reason": "FailedCreate",
                "message": message,
                "lastTimestamp": "2026-01-01T00:00:00Z",
            },
        )

    def serve(self) -> None:
        """Give each Service its status, by which the operator knows that it is there."""
        for name, service in self.emulator.objects("Service").items():
            if "status" not in service:
                self.emulator.patch("Service", name, {"status": {"loadBalancer": {}}})

    def stop(self, name: str) -> None:
        """End the process of a Deployment as a kubelet does: it kills what SIGTERM does not end in time."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.terminate()
            process.join(GRACE_SECONDS)
            process.kill()
            process.join()


@contextmanager
def resolving(kubelet: Kubelet) -> Iterator[None]:
    """Let names of services of the cluster lead to the address of its scheduler in this process."""
    original = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        known = bool(name) and name.split(".")[1:2] == [NAMESPACE]
        return original(kubelet.address if known else host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        yield


@contextmanager
def running(kubelet: Kubelet) -> Iterator[Kubelet]:
    """Run the operator, which is kopf's, and the helper until the block is left."""
    kubelet.emulator.put("Namespace", {"apiVersion": "v1", "metadata": {"name": NAMESPACE}})
    thread = threading.Thread(target=kubelet.run)
    thread.start()
    command = ["kopf", "run", "--standalone", "--namespace", NAMESPACE]
    controller = ["-m", "dask_kubernetes.operator.controller.controller"]
    with (kubelet.folder / "operator.log").open("w") as log:
        access = kubelet.emulator.kubeconfig(kubelet.folder / "operator.kubeconfig", OPERATOR)
        environment = {**os.environ, **kubelet.environment, "KUBECONFIG": str(access)}
        operator = subprocess.Popen([*command, *controller], env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield kubelet
    finally:
        operator.kill()
        operator.wait()
        kubelet.stopped.set()
        thread.join()
