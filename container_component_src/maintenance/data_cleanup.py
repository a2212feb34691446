"""Cleanup of old runs below a data root; data that is still read is kept."""

import json
from collections.abc import Iterator, Sequence
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
from container_component_src.maintenance.checks import one_line
from container_component_src.steps.data import CreateTrainValTestSplit
from container_component_src.storage import Location
from container_component_src.telemetry.views import source_of

_FINISHED = ("Succeeded", "Failed")  # phases of pods
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class _Reader:
    """An object on the cluster, or a run with views, that may read the data of runs."""

    name: str
    text: str  # JSON of the specification, or other text, which contains the URIs

    def reads(self, folder: RunFolder) -> bool:
        """Return whether it names the folder, or belongs to the folder's run."""
        return folder.location.path in self.text or f'"{RUN_LABEL}": "{folder.marker.run_id}"' in self.text


def clean_up_data(
    data_root: str, older_than: timedelta, cluster: Cluster | None = None, dry_run: bool = False
) -> Iterator[str]:
    """Delete the folders of old runs.

    Only folders with a run's marker are deleted, and of these only those of the cluster's namespace that no deployed
    service, other pod or view of a run that stays reads. Without a cluster, only folders of local runs are deleted.

    Args:
        data_root: Folder with the marker of a data root.
        older_than: Minimum age of the newest file of a run.
        cluster: Access to the namespace of the runs.
        dry_run: Whether to report what would be deleted without deleting it.

    Yields:
        A line for each old run: deleted, or kept and why.

    Raises:
        InputError: The folder is not a data root.
        StepError: The cluster does not tell what reads the data, or the store refused a deletion. All other old runs
            have been tried.
    """
    root = storage.resolve(data_root)
    if not is_marked(root):
        raise InputError(f"{root.uri}: not a data root of this project", fix="name the data_root of the runs")
    readers, namespace = (_readers(cluster), cluster.namespace) if cluster else ([], "")
    failures = []
    old = dict(_old_runs(root, datetime.now(UTC) - older_than))
    readers += _viewers(
        [run for run in run_folders(root) if run not in old or _reason_to_keep(run, namespace, readers)]
    )
    for folder, what in old.items():
        if reason := _reason_to_keep(folder, namespace, readers):
            yield f"kept {what}: {reason}"
        elif dry_run:
            yield f"would remove {what}"
        elif failure := _remove(folder.location):
            failures.append(failure)
        else:
            yield f"removed {what}"
    if failures:
        raise StepError("; ".join(failures), fix=f"use keys that may delete below {root.uri}")


def _old_runs(root: Location, latest: datetime) -> Iterator[tuple[RunFolder, str]]:
    """Yield the folders of runs without files newer than `latest`, each with its description."""
    for folder in run_folders(root):
        size, changed = _measure(folder.location)
        if changed <= latest:
            yield folder, f"run {folder.marker.run_id}: {_readable(size)}, last changed {changed:%Y-%m-%d}"


def _reason_to_keep(folder: RunFolder, namespace: str, readers: list[_Reader]) -> str:
    if folder.marker.namespace != namespace:
        if not folder.marker.namespace:
            return "data of a local run; use --backend local"
        namespace = folder.marker.namespace
        return f"data of namespace {namespace}; use --backend kubernetes --namespace {namespace}"
    return next((f"{reader.name} reads it" for reader in readers if reader.reads(folder)), "")


def _viewers(runs: Sequence[RunFolder]) -> list[_Reader]:
    """Return the runs whose sets are views, with the datasets that they need, maybe in folders of earlier runs."""
    sets = [(run, folder) for run in runs for folder in (run.location / CreateTrainValTestSplit.command).children()]
    return [_Reader(f"run {run.marker.run_id}", source) for run, folder in sets if (source := source_of(folder))]


def _readers(cluster: Cluster) -> list[_Reader]:
    """Return all services and unfinished pods; during a rollout, a service still has pods of its previous model."""
    try:
        services = cluster.list(INFERENCE_SERVICE)
    except UnknownKindError:  # KServe is not installed
        services = []
    found = [_Reader(f"InferenceService {service['metadata']['name']}", _text(service)) for service in services]
    for pod in list_pods(cluster, ""):
        if pod.status.phase not in _FINISHED:
            described = {"labels": pod.metadata.labels or {}, "spec": to_manifest(pod.spec)}
            found.append(_Reader(f"pod {pod.metadata.name}", _text(described)))
    return found


def _text(manifest: Any) -> str:
    return json.dumps(manifest, ensure_ascii=False)


def _measure(folder: Location) -> tuple[int, datetime]:
    """Return the size in bytes of all files below a folder, and the time of the newest."""
    files = folder.fs.find(folder.path, detail=True).values()
    times = [file.get("LastModified") or datetime.fromtimestamp(file["mtime"], UTC) for file in files]
    return sum(file["size"] for file in files), max(times)


def _remove(folder: Location) -> str:
    """Delete a folder, and return why that failed; empty if it did not.

    The marker is deleted last, so that the next cleanup finds a folder whose deletion was interrupted.
    """
    try:
        for child in folder.children():
            if child.name != RUN_MARKER:
                child.remove()
        folder.remove()
    except (PipelineError, OSError) as error:
        return f"{folder.uri}: not deleted ({one_line(error)})"
    return ""


def _readable(size: float) -> str:
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} {_UNITS[-1]}"
