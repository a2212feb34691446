"""The table of verdicts, which several consoles and people may write at a time.

A verdict is added to what the table has at that moment. On a local disk, a lock lets one console at a time do that; the
lock file stays beside the table. In an object store, the new table replaces only the version that was read: the store
refuses it if another console was faster, and it is tried again.
"""

import fcntl
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from container_component_src.errors import StepError
from container_component_src.storage import Location
from container_component_src.telemetry.verdicts import Feedback, read_feedback, to_csv

ATTEMPTS = 8  # to replace an object that others replace, too
_PAUSE = 0.05  # seconds before the second attempt; it doubles


class VerdictTable:
    """Reads and adds verdicts.

    Args:
        location: The CSV file, which need not exist yet.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._version: str | None = None

    def poll(self) -> dict[str, Feedback] | None:
        """Return the verdicts by the ID of the alarm if the table has changed since the last call, otherwise None.

        Raises:
            InputError: The table has an invalid row.
            OSError: It cannot be read.
            StepError: The store does not answer.
        """
        version = _version(self.location)
        if version == self._version:
            return None
        found = self._read(version)
        self._version = version
        return found

    def add(self, verdict: Feedback) -> None:
        """Add a verdict, or replace that on the same alarm.

        Raises:
            InputError: See `poll`.
            OSError: It cannot be written.
            StepError: The store does not answer, or others write all the time.
        """
        if self.location.is_local:
            with _locked(Path(f"{self.location.path}.lock")):
                self.location.write_bytes(self._with(verdict, _version(self.location)))
        else:
            self._replace_object(verdict)

    def _replace_object(self, verdict: Feedback) -> None:
        for attempt in range(ATTEMPTS):
            version = _version(self.location)
            if self.location.fs.replace(self.location.path, self._with(verdict, version), version):
                return
            time.sleep(random.uniform(0.5, 1) * _PAUSE * 2**attempt)
        raise StepError(f"{self.location.uri}: others write it all the time", fix="give the verdict again")

    def _with(self, verdict: Feedback, version: str | None) -> bytes:
        """Return the table with a verdict."""
        found = self._read(version)
        if verdict.alarm_id in found:
            verdict = verdict.model_copy(update={"others": found[verdict.alarm_id].others})
        return to_csv([*{**found, verdict.alarm_id: verdict}.values()]).encode()

    def _read(self, version: str | None) -> dict[str, Feedback]:
        return {} if version is None else {item.alarm_id: item for item in read_feedback(self.location.uri)}


def _version(location: Location) -> str | None:
    """Return what changes when the file does: the ETag of an object; None if there is no file."""
    try:
        return str(location.fs.info(location.path)["ETag"]) if not location.is_local else location.fingerprint()
    except FileNotFoundError:
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
