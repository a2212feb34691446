"""Checks of the pipeline's inputs: archives, anomaly reports, output folder, and the S3 store of these."""

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem

from container_component_src import storage
from container_component_src.errors import InputError, PipelineError
from container_component_src.maintenance.checks import CONNECT_TIMEOUT, Check, failed_check
from container_component_src.maintenance.store_checks import check_writing
from container_component_src.s3_settings import AWS_ENDPOINT
from container_component_src.steps.data import ReportColumns
from container_component_src.storage import Location
from container_component_src.telemetry.archive_files import find_archives


@dataclass(frozen=True)
class Inputs:
    """Locations that the pipeline reads and writes; an empty path is not checked."""

    archives_path: str = ""
    reports_path: str = ""
    timestamp_col: str = "normalizedTime"
    report_columns: ReportColumns = field(default_factory=ReportColumns)
    data_root: str = ""  # written to
    exclude_channels: Sequence[str] = ()
    feedback_path: str = ""

    @property
    def paths(self) -> list[str]:
        """Paths that the pipeline reads."""
        return [path for path in (self.archives_path, *self.tables) if path]

    @property
    def tables(self) -> tuple[str, str]:
        """Paths of the tables, which may be empty."""
        return self.reports_path, self.feedback_path

    @property
    def places(self) -> list[str]:
        """Paths that the pipeline reads or writes."""
        return [*self.paths, *([self.data_root] if self.data_root else [])]


def check_inputs(inputs: Inputs) -> list[Check]:
    """Check the inputs without long retries; if the store does not answer, the data is not checked."""
    with storage.patience(storage.QUICK_SECONDS):
        return _check_inputs(inputs)


def _check_inputs(inputs: Inputs) -> list[Check]:
    try:
        locations = [storage.resolve(path) for path in inputs.paths]
        writes_to_s3 = bool(inputs.data_root) and not storage.resolve(inputs.data_root).is_local
        options = storage.s3_options()
    except InputError as error:
        return [failed_check("S3 settings", error)]
    remote = [location for location in locations if not location.is_local]
    checks = []
    if remote or writes_to_s3:
        checks.append(check_endpoint(options["endpoint_url"] or AWS_ENDPOINT, options["client_kwargs"]["verify"]))
        if checks[0].ok:
            checks += check_buckets(remote)
    if inputs.data_root and all(check.ok for check in checks[:1]):
        checks.append(check_writing(inputs.data_root))
    if not all(check.ok for check in checks):
        return checks
    if inputs.archives_path:
        checks.append(_check("archives", lambda: _count_archives(inputs)))
    if inputs.reports_path:
        checks.append(_check("reports", lambda: _count_reports(inputs)))
    if inputs.feedback_path:
        checks.append(_check("feedback", lambda: _count_verdicts(inputs.feedback_path)))
    return checks


def check_endpoint(url: str, verify: bool | str) -> Check:
    """Check that an S3 endpoint accepts connections, and report how they are secured."""
    parts = urlsplit(url)
    with_tls = parts.scheme == "https"
    security = f"TLS, {'verified' if verify else 'not verified (S3_VERIFY_SSL)'}" if with_tls else "no TLS"
    fix = "set S3_ENDPOINT to an address that is reachable from here"
    try:
        address = (parts.hostname or "", parts.port or (443 if with_tls else 80))
        socket.create_connection(address, timeout=CONNECT_TIMEOUT).close()
    except (OSError, ValueError) as error:
        return Check("S3 endpoint", False, f"{url}: {error}", fix)
    return Check("S3 endpoint", True, f"{url}, {security}", fix)


def check_buckets(locations: Iterable[Location]) -> list[Check]:
    """Check that the current credentials can list the buckets of S3 locations."""
    by_bucket = {location.path.split("/")[0]: location.fs for location in locations}
    return [_check(f"bucket {bucket}", partial(_count_entries, fs, bucket)) for bucket, fs in by_bucket.items()]


def _count_entries(fs: AbstractFileSystem, bucket: str) -> str:
    return f"{len(fs.ls(bucket, refresh=True))} entries"


def _count_archives(inputs: Inputs) -> str:
    if not _can_read_data():
        found = find_archives(inputs.archives_path, inputs.tables)
        return f"{len(found)} archives; without pyarrow their columns are not checked"
    from container_component_src.telemetry.archive import (  # noqa: PLC0415 - needs pyarrow
        left_out_columns,
        list_archives,
    )
    from container_component_src.telemetry.columns import names_and_reasons  # noqa: PLC0415 - as above

    archives = list_archives(inputs.archives_path, inputs.timestamp_col, inputs.tables, inputs.exclude_channels)
    left_out = names_and_reasons(left_out_columns(archives))
    return f"{len(archives)} archives{f'; columns left out: {left_out}' if left_out else ''}"


def _count_reports(inputs: Inputs) -> str:
    if not _can_read_data():
        location = storage.resolve(inputs.reports_path)
        location.fs.info(location.path)
        return "found; without pandas its columns are not checked"
    from container_component_src.telemetry.anomaly_reports import read_reports  # noqa: PLC0415 - needs pandas

    return f"{len(read_reports(inputs.reports_path, inputs.report_columns))} reported anomalies"


def _count_verdicts(uri: str) -> str:
    if not _can_read_data():
        location = storage.resolve(uri)
        location.fs.info(location.path)
        return "found; without pandas its columns are not checked"
    from container_component_src.telemetry.verdicts import read_feedback  # noqa: PLC0415 - as above

    return f"{len(read_feedback(uri))} verdicts on alarms"


def _can_read_data() -> bool:
    """Return whether the libraries that read the data are installed; submitting a run needs none of them."""
    return all(find_spec(name) for name in ("pandas", "pyarrow"))


def _check(name: str, look: Callable[[], str]) -> Check:
    """Run a check that returns its detail or raises an error."""
    try:
        return Check(name, True, look())
    except PipelineError as error:
        return failed_check(name, error)
    except OSError as error:
        return failed_check(name, error, "check the name and the access rights")
