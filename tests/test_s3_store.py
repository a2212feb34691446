"""Unavailable, refusing and failing S3 stores: which requests are retried, and the errors for the user."""

import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trustme
from werkzeug import Request, Response

from container_component_src import storage
from container_component_src.errors import InputError, PipelineError, StepError
from container_component_src.s3_settings import use_settings
from container_component_src.s3_upload import PART_BYTES
from container_component_src.storage import Location
from container_component_src.telemetry.parquet import open_parquet
from tests.helpers import write_dataset
from tests.s3_front import Front, always, at_first, broken_off, refusal, s3_front, without_delete

SECRET = "never-to-be-shown"
# Every way to check, read and write an object.
CALLS: dict[str, Callable[[Location], object]] = {
    "exists": Location.exists,
    "is_file": Location.is_file,
    "children": Location.children,
    "read": Location.read_bytes,
    "parquet": lambda location: open_parquet(location, "write it again"),
    "write": lambda location: location.write_bytes(b"1"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@pytest.fixture
def front(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield front


def _refused(call: Callable[[Location], object], location: Location, kind: type[PipelineError]) -> str:
    with pytest.raises(PipelineError) as caught:
        call(location)
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert "no such file" not in str(caught.value)
    return str(caught.value)


@every_call
def test_unavailable_store(
    call: Callable[[Location], object], bucket: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "0.3")
    message = _refused(call, storage.resolve(f"{bucket}/x", f"http://127.0.0.1:{free_port}"), StepError)
    assert f"{bucket}/x: the store at http://127.0.0.1:{free_port} does not answer" in message
    assert "S3_ENDPOINT" in message


@every_call
def test_refused_key(call: Callable[[Location], object], bucket: str, front: Front) -> None:
    front.answer = always(403, "InvalidAccessKeyId")
    message = _refused(call, storage.resolve(f"{bucket}/x"), InputError)
    assert f"{bucket}/x: the store at http://{front.address} refuses access key ID key (" in message
    assert "Secret" in message


@every_call
def test_absent_bucket(call: Callable[[Location], object], front: Front) -> None:
    if call is Location.exists:  # works for the bucket itself
        assert not storage.resolve("s3://no-such-bucket").exists()
    message = _refused(call, storage.resolve("s3://no-such-bucket/x"), InputError)
    assert f"no bucket 'no-such-bucket' in the store at http://{front.address}" in message


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")])
def test_permanent_server_error(
    status: int, code: str, bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "0.3")
    front.answer = always(status, code)
    message = _refused(Location.children, storage.resolve(f"{bucket}/x"), StepError)
    assert f"the store at http://{front.address} fails ({code}: no)" in message
    assert len(front.requests) > 1


@pytest.mark.parametrize(("status", "code"), [(400, "InvalidArgument"), (501, "NotImplemented"), (405, "NotAllowed")])
def test_permanent_errors_are_not_retried(status: int, code: str, bucket: str, front: Front) -> None:
    location = storage.resolve(f"{bucket}/x")
    front.answer = always(status, code)
    message = _refused(lambda location: location.write_bytes(b"1"), location, StepError)
    assert f"answers {code}: no" in message
    assert len(front.requests) == 1


@pytest.mark.slow
@every_call
def test_temporary_errors_are_retried(
    call: Callable[[Location], object],
    bucket: str,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "60")
    location = storage.resolve(f"{bucket}/x")
    with location.open_output() as output:
        pq.write_table(pa.table({"a": [1]}), output)
    front.answer = at_first(3, 503, "SlowDown")
    call(location)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"the store at http://{front.address} fails (" in warning.getMessage()
    assert "retrying for up to 60 s" in warning.getMessage()


def test_store_that_becomes_available(
    bucket: str, free_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A real outage: nothing listens until the first warning is logged."""
    monkeypatch.setenv("S3_RETRY_SECONDS", "60")
    storage.resolve(f"{bucket}/x").write_bytes(b"content")
    warned, read = Event(), Event()
    handler = logging.Handler(logging.WARNING)
    monkeypatch.setattr(handler, "emit", lambda record: warned.set())

    def come_back() -> None:
        warned.wait(30)
        with s3_front(free_port):
            read.wait(60)

    thread = Thread(target=come_back)
    logger = logging.getLogger("container_component_src.s3_store")
    logger.addHandler(handler)
    try:
        thread.start()
        assert storage.resolve(f"{bucket}/x", f"http://127.0.0.1:{free_port}").read_bytes() == b"content"
    finally:
        read.set()
        thread.join()
        logger.removeHandler(handler)
    assert warned.is_set()


@pytest.mark.parametrize(
    "call", [Location.read_bytes, lambda location: open_parquet(location, "write it again").read()]
)
def test_interrupted_read_is_retried(
    call: Callable[[Location], object], bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "60")
    location = storage.resolve(f"{bucket}/x.parquet")
    with location.open_output() as output:
        pq.write_table(pa.table({"a": [1]}), output)
    front.answer = broken_off(2)
    assert call(location)


def test_only_the_columns_that_are_read_are_requested(bucket: str, front: Front) -> None:
    values = np.random.default_rng(0).normal(size=(20_000, 20)).astype(np.float32)
    dataset = write_dataset(f"{bucket}/d", values, channels=tuple("abcdefghijklmnopqrst"))
    (partition,) = dataset.manifest.partitions
    size = int(storage.resolve(f"{bucket}/d/{partition.file}").fingerprint().partition("-")[0])

    def requested(channels: tuple[str, ...] | None) -> int:
        front.requests.clear()
        dataset.read(partition, channels)
        ranges = [request.headers["Range"] for request in front.requests if request.method == "GET"]
        assert len(ranges) <= 3  # the end of the footer, its beginning, and all columns together
        ends = [tuple(map(int, text.removeprefix("bytes=").split("-"))) for text in ranges]
        return sum(last - first + 1 for first, last in ends)

    assert requested(()) < size / 4
    assert size <= requested(None) < 1.2 * size


def test_patience_of_a_block(bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "3600")
    front.answer = always(503, "SlowDown")
    with storage.patience(0.1):
        location = storage.resolve(f"{bucket}/x")
    assert ", for 0 s;" in _refused(Location.exists, location, StepError)


def test_abort_of_an_upload_is_not_retried(bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.s3_store.QUICK_SECONDS", 0.1)
    monkeypatch.setenv("S3_RETRY_SECONDS", "3600")
    with pytest.raises(ZeroDivisionError), storage.resolve(f"{bucket}/x").open_output() as output:
        output.write(bytes(PART_BYTES))
        front.answer = always(503, "SlowDown")
        raise ZeroDivisionError


def test_parts_are_sent_while_the_next_ones_are_made(bucket: str, front: Front) -> None:
    file, parts, sent = storage.resolve(f"{bucket}/x"), [bytes([number]) * PART_BYTES for number in range(3)], Event()

    def answer(request: Request) -> Response | None:
        if request.args.get("partNumber") == "1":
            assert sent.wait(60)  # until the caller has written the second part
        return None

    front.answer = answer
    with file.open_output() as output:
        for part in parts[:2]:
            output.write(part)
        sent.set()
        output.write(parts[2])
        output.write(b"end")
    assert file.read_bytes(None) == b"".join([*parts, b"end"])


def test_refused_part_is_an_error_and_aborts_the_upload(bucket: str, front: Front) -> None:
    front.answer = lambda request: refusal(403, "AccessDenied") if request.args.get("partNumber") == "1" else None
    file = storage.resolve(f"{bucket}/x")

    def write(location: Location) -> None:
        with location.open_output() as output:
            output.write(bytes(PART_BYTES))

    assert "refuses access key ID" in _refused(write, file, InputError)
    assert "DELETE" in [request.method for request in front.requests]
    assert not file.exists()


def test_upload_is_aborted_without_permission_to_delete(
    bucket: str, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    front.answer = without_delete
    with pytest.raises(ZeroDivisionError), storage.resolve(f"{bucket}/x").open_output() as output:
        output.write(bytes(PART_BYTES))
        raise ZeroDivisionError
    assert "parts of an aborted upload remain" in caplog.text
    assert not storage.resolve(f"{bucket}/x").exists()


@pytest.mark.parametrize("several", [True, False])
def test_object_that_cannot_be_deleted_is_named(several: bool, bucket: str, front: Front) -> None:
    folder = storage.resolve(f"{bucket}/a")
    for name in ("x", "y") if several else ("x",):
        (folder / name).write_bytes(b"1")
    front.answer = without_delete
    message = _refused(Location.remove, folder if several else folder / "x", InputError)
    assert f"{bucket}/a/x: the store at http://{front.address} refuses access key ID key (AccessDenied)" in message
    assert (folder / "x").exists()


def test_deletion_in_batches(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.s3_store._MAX_DELETED_AT_ONCE", 2)
    folder = storage.resolve(f"{bucket}/a")
    for name in ("1", "2", "b/3", "b/4", "5"):
        (folder / name).write_bytes(b"1")
    folder.remove()
    assert folder.children() == []


def test_key_without_permission_to_list(bucket: str, front: Front) -> None:
    """AWS returns 403 for an absent object to a key that may not list the bucket."""
    front.answer = lambda request: refusal(403, "AccessDenied") if request.method == "HEAD" else None
    assert "refuses access key ID key (403: Forbidden)" in _refused(
        Location.is_file, storage.resolve(f"{bucket}/absent"), InputError
    )


def test_key_that_may_list_its_own_folder_only(bucket: str, front: Front) -> None:
    front.answer = lambda request: refusal(403, "AccessDenied") if request.args.get("prefix") == "own/" else None
    assert storage.resolve(f"{bucket}/own/folder").children() == []


def test_missing_key(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    message = _refused(Location.exists, storage.resolve(f"{bucket}/x"), InputError)
    assert "no access key" in message
    assert "AWS_ACCESS_KEY_ID" in message
    assert "`doctor --backend kubernetes` checks it" in message


def test_keys_of_the_process_are_not_sent_to_another_store(bucket: str, front: Front) -> None:
    with use_settings({"S3_ENDPOINT": f"http://{front.address}"}):
        location = storage.resolve(f"{bucket}/x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "absent")
        assert "no access key" in _refused(Location.exists, location, InputError)
    assert not front.requests


@pytest.mark.parametrize("code", ["ExpiredToken", "400"])
def test_expired_token(code: str, bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-an-hour")
    front.answer = always(400, code)
    message = _refused(Location.exists, storage.resolve(f"{bucket}/x"), InputError)
    assert "AWS_SESSION_TOKEN" in message
    assert "token-of-an-hour" not in message


def test_token_and_region_are_sent(bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-an-hour")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    storage.resolve(f"{bucket}/x").exists()
    headers = front.requests[0].headers
    assert headers["X-Amz-Security-Token"] == "token-of-an-hour"
    assert "/eu-central-1/s3/" in headers["Authorization"]


def test_wrong_region(bucket: str, front: Front) -> None:
    front.answer = always(400, "AuthorizationHeaderMalformed")
    message = _refused(lambda location: location.write_bytes(b"1"), storage.resolve(f"{bucket}/x"), InputError)
    assert "AWS_DEFAULT_REGION" in message


def test_invalid_bucket_name(front: Front) -> None:
    message = _refused(Location.exists, storage.resolve("s3://no bucket/x"), InputError)
    assert "s3://no bucket/x: no valid S3 address" in message


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def https(authority: trustme.CA, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A store whose certificate is signed by a private authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with s3_front(tls=context) as front:
        monkeypatch.setenv("S3_ENDPOINT", front.address)
        yield front


def test_private_certificate_authority(
    authority: trustme.CA, https: Front, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def works() -> None:
        location = storage.resolve(f"{bucket}/x")
        location.write_bytes(b"1")
        assert location.read_bytes() == b"1"

    text = authority.cert_pem.bytes().decode()
    for variable in ("S3_CA_BUNDLE", "AWS_CA_BUNDLE"):
        (tmp_path / "ca.pem").write_text(text)
        with monkeypatch.context() as patch:
            patch.setenv(variable, text if variable == "S3_CA_BUNDLE" else str(tmp_path / "ca.pem"))
            works()
    monkeypatch.setenv("S3_VERIFY_SSL", "false")
    works()


@every_call
def test_unknown_certificate_authority(call: Callable[[Location], object], https: Front, bucket: str) -> None:
    message = _refused(call, storage.resolve(f"{bucket}/x"), InputError)
    assert f"no trusted connection to the store at https://{https.address}" in message
    assert "S3_CA_BUNDLE" in message


def test_certificate_of_another_host(authority: trustme.CA, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example.com").configure_cert(context)
    monkeypatch.setenv("S3_CA_BUNDLE", authority.cert_pem.bytes().decode())
    with s3_front(tls=context) as front:
        message = _refused(Location.exists, storage.resolve(f"{bucket}/x", front.address), InputError)
    assert "127.0.0.1" in message


def test_tls_with_a_plain_http_store(bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "0.3")
    message = _refused(Location.exists, storage.resolve(f"{bucket}/x", f"https://{front.address}"), InputError)
    assert "S3_USE_HTTPS" in message


def test_web_page_instead_of_a_response(bucket: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is that of another server, such as the console of the store."""

    def page(request: Request) -> Response:
        return Response("<html><body>Welcome</body>", content_type="text/html")

    monkeypatch.setenv("S3_RETRY_SECONDS", "0.3")
    front.answer = page
    message = _refused(Location.children, storage.resolve(f"{bucket}/x"), StepError)
    assert f"http://{front.address}" in message
