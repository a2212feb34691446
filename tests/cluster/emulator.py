"""Emulated Kubernetes API on a local port, and its controls for tests."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kmock
import yaml

from tests.cluster.emulated_api import Api
from tests.cluster.emulated_objects import ADMINISTRATOR, NAMESPACE, OPERATOR, STEPS, Fault, Log
from tests.cluster.rights import Right

__all__ = ["ADMINISTRATOR", "NAMESPACE", "OPERATOR", "STEPS", "Emulator", "Fault", "running"]


@dataclass
class Emulator:
    """A running API; its methods can be called from any thread."""

    api: Api
    loop: asyncio.AbstractEventLoop
    url: str

    def fail(self, method: str, path: str, status: int = 500, times: int = 1) -> Fault:
        """Make requests of a method fail if their path matches a pattern."""
        fault = Fault(method, path, status, times)
        self.api.faults.append(fault)
        return fault

    def objects(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the objects of a kind by name."""
        found: dict[str, dict[str, Any]] = self._do(lambda: self.api.existing(kind))
        return found

    def put(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object as a controller does."""
        stored: dict[str, Any] = self._do(lambda: self.api.put(kind, manifest), wait=True)
        return stored

    def patch(self, kind: str, name: str, changes: dict[str, Any]) -> None:
        """Merge changes into an object as a controller does, usually into its status."""
        self._do(lambda: self.api.change(kind, name, changes), wait=True)

    def remove(self, kind: str, name: str) -> None:
        """Delete an object as another user does."""
        self._do(lambda: self.api.remove(kind, name), wait=True)

    def log(self, pod: str, container: str = "") -> Log:
        """Return the writable log of a container, or of all containers of a pod without a log of their own."""
        return self.api.logs.setdefault(f"{pod}/{container}" if container else pod, Log())

    def requests(self) -> list[tuple[str, str]]:
        """Return the method and path of every request so far."""
        return [(str(request.method.value), request.url.path) for request in list(self.api.seen)]

    def forget(self) -> None:
        """Forget the requests and deleted objects so far, and let no more requests fail."""
        self._do(self.api.forget)

    def admit(self, kind: str, webhook: Callable[[dict[str, Any] | None, dict[str, Any]], str]) -> None:
        """Call a webhook for every object of a kind that is written, except by the operator.

        Args:
            kind: Kind of the objects.
            webhook: Receives the old object or None, and the new one, which it may change; returns why it refuses.
        """
        self.api.webhooks[kind] = webhook

    def rights_used(self) -> set[Right]:
        """Return the rights that requests of the steps needed."""
        return set(self.api.used)

    def kubeconfig(self, path: Path, user: str = STEPS) -> Path:
        """Write a kubeconfig for this API."""
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


@contextmanager
def running() -> Iterator[Emulator]:
    """Serve the API from a thread while the block runs."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    box: list[Emulator] = []
    stop = asyncio.Event()

    async def serve() -> None:
        async with Api() as api, kmock.Server(api) as server:
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
