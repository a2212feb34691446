"""Checks of what the pipeline reads: archives, anomaly reports, and the S3 store where they lie in one."""

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from fsspec import AbstractFileSystem

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.maintenance.checks import CONNECT_TIMEOUT, Check
from container_component_src.settings import ReportColumns
from container_component_src.storage import Location
from container_component_src.telemetry.archive import list_archives
from container_component_src.telemetry.labels import read_reports

AWS_ENDPOINT = "https://s3.amazonaws.com"


def check_inputs(
    archives_path: str, reports_path: str, timestamp_col: str, environment: Mapping[str, str] = os.environ
) -> list[Check]:
    """Check the inputs that are named; the data is left out if its store does not answer."""
    try:
        locations = [storage.resolve(path, environment=environment) for path in (archives_path, reports_path) if path]
        options = storage.s3_options(environment)
    except InputError as error:
        return [_refused("S3 settings", error)]
    remote = [location for location in locations if not location.is_local]
    checks = []
    if remote:
        checks.append(check_endpoint(options["endpoint_url"] or AWS_ENDPOINT, options["client_kwargs"]["verify"]))
        if checks[0].ok:
            checks += check_buckets(remote)
    if not all(check.ok for check in checks):
        return checks
    if archives_path:
        checks.append(_check("archives", lambda: f"{len(list_archives(archives_path, timestamp_col))} archives"))
    if reports_path:
        checks.append(
            _check("reports", lambda: f"{len(read_reports(reports_path, ReportColumns()))} reported anomalies")
        )
    return checks


def check_endpoint(url: str, verify: bool | str) -> Check:
    """Whether something listens at an S3 endpoint, and how the connection is secured."""
    parts = urlsplit(url)
    with_tls = parts.scheme == "https"
    security = f"TLS, {'verified' if verify else 'not verified (S3_VERIFY_SSL)'}" if with_tls else "no TLS"
    mend = "set S3_ENDPOINT to an address that this machine reaches"
    try:
        address = (parts.hostname or "", parts.port or (443 if with_tls else 80))
        socket.create_connection(address, timeout=CONNECT_TIMEOUT).close()
    except (OSError, ValueError) as error:
        return Check("S3 endpoint", False, f"{url}: {error}", mend)
    return Check("S3 endpoint", True, f"{url}, {security}", mend)


def check_buckets(locations: Iterable[Location]) -> list[Check]:
    """Whether the buckets of S3 locations can be listed with the credentials that are set."""
    by_bucket = {location.path.split("/")[0]: location.fs for location in locations}
    return [_check(f"bucket {bucket}", partial(_count_entries, fs, bucket)) for bucket, fs in by_bucket.items()]


def _count_entries(fs: AbstractFileSystem, bucket: str) -> str:
    return f"{len(fs.ls(bucket, refresh=True))} entries"


def _check(name: str, look: Callable[[], str]) -> Check:
    """Run a check that says what it found, or raises."""
    try:
        return Check(name, True, look())
    except InputError as error:
        return _refused(name, error)
    except (OSError, BotoCoreError, ClientError) as error:
        mend = "check the name, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and their rights"
        return Check(name, False, " ".join(str(error).split()) or type(error).__name__, mend)


def _refused(name: str, error: InputError) -> Check:
    """A check that ended with an error of ours, whose text ends with the mend."""
    detail, _, mend = str(error).rpartition("; ")
    return Check(name, False, detail or mend, mend if detail else "")
