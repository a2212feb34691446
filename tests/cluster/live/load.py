"""Steady load of requests to a service from inside the cluster."""

import json
from types import TracebackType

from tests.cluster.live.step_pod import Session, StepPod

RATE = 10  # requests a second
LONGEST = 900  # seconds
# Each request opens a new connection, so that the service chooses a pod. The program ends when the stop object appears
# in the store, and prints one line of JSON.
PROGRAM = f"""
import json, sys, time
import httpx
from container_component_src.model.bundle_info import read_info
from container_component_src.storage import resolve
url, bundle, stop = sys.argv[1:]
channels = read_info(resolve(bundle)).channels
body = json.dumps({{"instances": [{{name: 0.0 for name in channels}}]}})
print("ready", flush=True)
answers, failures, start = 0, [], time.monotonic()
while not (answers % 10 == 0 and resolve(stop).exists()) and time.monotonic() - start < {LONGEST}:
    began = time.monotonic()
    try:
        status = httpx.post(url, content=body, timeout=10).status_code
        failures += [] if status == 200 else [status]
    except httpx.HTTPError as error:
        failures.append(repr(error))
    answers += 1
    time.sleep(max(0.0, 1 / {RATE} - (time.monotonic() - began)))
print(json.dumps({{"answers": answers, "failures": failures}}), flush=True)
"""


class Load:
    """Requests from a pod while the block runs; afterwards `answers` and `failures` contain the results."""

    def __init__(self, session: Session, run_id: str, service: str, prefix: str) -> None:
        self.answers = 0
        self.failures: list[object] = []
        self._session = session
        self._stop = f"{prefix}/stop-{run_id}"
        self._run_id = run_id
        url = f"{session.address_of(service)}/v1/models/{service}:predict"
        self._program = ["python", "-c", PROGRAM, url, f"{prefix}/model", self._stop]
        self._pod: StepPod

    def __enter__(self) -> "Load":
        self._pod = self._session.start_program(self._run_id, "load", self._program)
        self._pod.wait_for("ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        write = "import sys; from container_component_src.storage import resolve; resolve(sys.argv[1]).write_bytes(b'')"
        self._session.start_program(self._run_id, "stop", ["python", "-c", write, self._stop]).ended()
        ended = self._pod.ended()
        assert ended.code == 0, ended.log
        counted = json.loads(ended.log.splitlines()[-1])
        self.answers, self.failures = counted["answers"], counted["failures"]
