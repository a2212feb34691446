"""Deletes the data of old runs below a data root, except what is still read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from container_component_src import storage
from container_component_src.cluster.access import Cluster, UnknownKindError, to_manifest
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.logs import list_pods
from container_component_src.cluster.step import RUN_LABEL
from container_component_src.data_root import RUN_MARKER, RunFolder, is_marked, run_folders
from container_component_src.errors import InputError, PipelineError, StepError
from container_component_src.storage import Location

_ENDED = ("Succeeded", "Failed")  # phases of pods that read nothing any more
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class _Reader:
    """Something on the cluster that may read the data of runs."""

    name: str
    text: str  # its specification, in which addresses stand

    def reads(self, folder: RunFolder) -> bool:
        """Whether it names the folder, or belongs to its run."""
        return folder.location.path in self.text or f'"{RUN_LABEL}": "{folder.marker.run_id}"' in self.text


def clean_up_data(
    data_root: str, older_than: timedelta, cluster: Cluster | None = None, dry_run: bool = False
) -> Iterator[str]:
    """Delete the folders of runs that nothing has been written to for some time; may be repeated.

    Only folders with the marker of a run are touched, and of these only those of the namespace that is asked whether a
    deployed service, or any other pod, reads them. Without a cluster these are the runs of single machines.

    Args:
        data_root: Folder with the marker of a data root.
        older_than: Age of the newest file of a run.
        cluster: Access to the namespace of the runs.
        dry_run: Say what would be deleted, delete nothing.

    Yields:
        What was deleted, or kept although it is old; one line each.

    Raises:
        InputError: The folder is no data root.
        StepError: The cluster does not say what reads the data, or the store refuses a deletion; all old runs have been
            tried by then.
    """
    root = storage.resolve(data_root)
    if not is_marked(root):
        raise InputError(f"{root.uri}: no data root of this project; name the data_root that runs were given")
    readers = _readers(cluster) if cluster else []
    namespace = cluster.namespace if cluster else ""
    latest = datetime.now(UTC) - older_than
    failures = []
    for folder in run_folders(root):
        size, changed = _measure(folder.location)
        if changed > latest:
            continue
        what = f"run {folder.marker.run_id}: {_readable(size)}, last changed {changed:%Y-%m-%d}"
        if reason := _reason_to_keep(folder, namespace, readers):
            yield f"kept {what}: {reason}"
        elif dry_run:
            yield f"would remove {what}"
        else:
            try:
                _remove(folder.location)
            except (PipelineError, OSError) as error:
                failures.append(f"{folder.location.uri}: not deleted ({' '.join(str(error).split())})")
            else:
                yield f"removed {what}"
    if failures:
        raise StepError(f"{'; '.join(failures)}; use keys that may delete below {root.uri}")


def _reason_to_keep(folder: RunFolder, namespace: str, readers: list[_Reader]) -> str:
    if folder.marker.namespace != namespace:
        if not folder.marker.namespace:
            return "of a run on one machine; use --backend local"
        return f"of namespace {folder.marker.namespace}; use --backend kubernetes --namespace {folder.marker.namespace}"
    return next((f"{reader.name} reads it" for reader in readers if reader.reads(folder)), "")


def _readers(cluster: Cluster) -> list[_Reader]:
    """Services, and pods that have not ended: a service that is being changed has pods of its former model too."""
    try:
        services = cluster.list(INFERENCE_SERVICE)
    except UnknownKindError:  # without KServe no model is deployed
        services = []
    found = [_Reader(f"InferenceService {service['metadata']['name']}", _text(service)) for service in services]
    for pod in list_pods(cluster, ""):
        if pod.status.phase not in _ENDED:
            described = {"labels": pod.metadata.labels or {}, "spec": to_manifest(pod.spec)}
            found.append(_Reader(f"pod {pod.metadata.name}", _text(described)))
    return found


def _text(manifest: Any) -> str:
    return json.dumps(manifest, ensure_ascii=False)


def _measure(folder: Location) -> tuple[int, datetime]:
    """Bytes of all files below a folder, and the time of the newest."""
    files = folder.fs.find(folder.path, detail=True).values()
    times = [file.get("LastModified") or datetime.fromtimestamp(file["mtime"], UTC) for file in files]
    return sum(file["size"] for file in files), max(times)


def _remove(folder: Location) -> None:
    """Delete a folder, its marker last: what an interruption leaves is found again."""
    for child in folder.children():
        if child.name != RUN_MARKER:
            child.remove()
    folder.remove()


def _readable(size: float) -> str:
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} {_UNITS[-1]}"
