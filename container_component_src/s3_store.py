"""The client of an S3 store: waits for a store that is away, and names the store, the key and the fix for other faults.

The errors of s3fs do not name the store, and its `isfile` and `exists` take most of them for an absent file. Here
FileNotFoundError alone means absent. Imported only where an S3 address is opened, because s3fs is slow to import.
"""

import io
import logging
import time
from collections.abc import Sequence
from typing import Any

import tenacity
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from fsspec.asyn import sync_wrapper
from s3fs.core import S3_RETRYABLE_ERRORS, S3FileSystem

from container_component_src.errors import InputError, StepError
from container_component_src.s3_settings import AWS_ENDPOINT, CA_BUNDLE, PATIENCE_SECONDS, QUICK_SECONDS

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 15.0  # seconds between two tries
WARNING_INTERVAL = 60.0  # seconds

FAULTS = (OSError, BotoCoreError, *S3_RETRYABLE_ERRORS)  # of a request
_PASSING_CODES = {"SlowDown", "RequestTimeout", "OperationAborted", "Throttling", "TooManyRequests"}
_REFUSALS = {"AccessDenied", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}  # whatever their status
_REGION_CODES = {"AuthorizationHeaderMalformed", "PermanentRedirect", "301"}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
# No later try fixes these handshakes; others fail because the store, or a proxy before it, is just starting.
_LASTING_TLS_FAULTS = ("certificate", "wrong_version", "wrong version", "record layer failure")
_DELETED_AT_ONCE = 1000  # the most that the protocol allows


class S3Store(S3FileSystem):
    """`S3FileSystem` with patience and with errors for the user.

    Args:
        patience: Seconds from the first failure of a request until it is given up.
        options: Of `S3FileSystem`.
    """

    retries = 1  # of s3fs itself, which neither waits long enough nor says that it waits

    def __init__(self, *args: Any, patience: float = PATIENCE_SECONDS, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patience = patience
        self._next_warning = 0.0  # of the monotonic clock

    async def _call_s3(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        """Send a request; every one of s3fs goes through here.

        Raises:
            FileNotFoundError: There is no such object.
            InputError: The settings are at fault: key, rights, bucket or certificate.
            StepError: The store does not answer within the patience, or answers something else.
        """
        # What is given up may stay behind: whoever gives it up has waited long enough.
        patience = min(self.patience, QUICK_SECONDS) if method == "abort_multipart_upload" else self.patience
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: _is_passing(_cause(error))),
            # Twice at least: the connection may have been closed since it was last used.
            stop=tenacity.stop_all(tenacity.stop_after_attempt(2), tenacity.stop_after_delay(patience)),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=LONGEST_PAUSE, jitter=0.2),
            before_sleep=lambda state: self._warn(state, patience),
            reraise=True,
        )
        try:
            return await retrying(self._answer, method, *akwarglist, **kwargs)
        except FAULTS as error:
            cause = _cause(error)
            if _is_passing(cause):
                raise StepError(
                    f"{_uri(kwargs)}: the store at {self.endpoint} {_state(cause)}, for {patience:.0f} s; "
                    "check that it runs, and that S3_ENDPOINT, S3_USE_HTTPS and --minio-endpoint lead there"
                ) from cause
            raise self._explained(error, cause, kwargs) from cause

    call_s3 = sync_wrapper(_call_s3)  # as s3fs defines it, which would call its own

    async def _answer(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        """The answer to one request, with the content of an object, so that a content that breaks off is read again."""
        answer = await super()._call_s3(method, *akwarglist, **kwargs)
        if method == "get_object":
            body = answer["Body"]
            try:
                answer["Body"] = _Content(await body.read())
            finally:
                body.close()
        return answer

    async def _exists(self, path: str) -> bool:
        try:
            await self._info(path)
        except FileNotFoundError:
            return False
        return True

    exists = sync_wrapper(_exists)

    async def _isfile(self, path: str) -> bool:
        try:
            return bool((await self._info(path))["type"] == "file")
        except FileNotFoundError:
            return False

    def names(self, path: str) -> list[str]:
        """Paths of what lies directly below a folder; s3fs itself lists the folder above where there is nothing."""
        return [entry["name"] for entry in self._list(path)]

    _list = sync_wrapper(S3FileSystem._lsdir)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects of one bucket; s3fs's own `rm` passes over those that the store refuses to delete.

        Raises:
            InputError: The store refuses.
            StepError: The store does not answer, or fails.
        """
        for first in range(0, len(paths), _DELETED_AT_ONCE):
            split = [path.split("/", 1) for path in paths[first : first + _DELETED_AT_ONCE]]
            objects = [{"Key": key} for _, key in split]
            answer = self.call_s3("delete_objects", Bucket=split[0][0], Delete={"Objects": objects, "Quiet": True})
            for fault in answer.get("Errors", []):
                error = ClientError({"Error": fault}, "DeleteObjects")
                raise self._explained(error, error, {"Bucket": split[0][0], "Key": fault["Key"]})

    @property
    def endpoint(self) -> str:
        """The store's address."""
        return self.endpoint_url or AWS_ENDPOINT

    def _explained(self, error: Exception, cause: BaseException, request: dict[str, Any]) -> Exception:
        """What to raise for a fault that stays."""
        uri, store = _uri(request), f"the store at {self.endpoint}"
        if isinstance(cause, ClientError):
            return self._explained_answer(error, cause, request)
        if isinstance(cause, _NO_CREDENTIALS):
            return InputError(f"{uri}: no access key for {store}; {_KEY_FIX}")
        if isinstance(cause, SSLError):
            return InputError(
                f"{uri}: no trusted connection to {store} ({_text(cause)}); give the certificate of its authority in "
                f"{CA_BUNDLE} (PEM text) or AWS_CA_BUNDLE (path), or set S3_USE_HTTPS if it speaks plain HTTP"
            )
        if isinstance(cause, ParamValidationError):
            return InputError(f"{uri}: no valid S3 address ({_text(cause)}); give one like s3://bucket/key")
        return error

    def _explained_answer(self, error: Exception, answer: ClientError, request: dict[str, Any]) -> Exception:
        uri, store = _uri(request), f"the store at {self.endpoint}"
        code, status, said = _code(answer), _status(answer), _said(answer)
        if code == "NoSuchBucket":
            fix = "check the name and S3_ENDPOINT, or create the bucket"
            return InputError(f"{uri}: no bucket '{request.get('Bucket')}' in {store}; {fix}")
        if isinstance(error, FileNotFoundError):
            return error
        if code in _REGION_CODES:
            return InputError(f"{uri}: {store} is of another region ({said}); set AWS_DEFAULT_REGION")
        # A HEAD request with an expired token is answered by a 400 without a code.
        if status in {401, 403} or code in _REFUSALS or (code == "400" and self.token):
            token = " with AWS_SESSION_TOKEN" if self.token else ""
            return InputError(
                f"{uri}: {store} refuses access key ID {self.key or '(of the default credentials)'}{token} ({said}); "
                f"{_KEY_FIX}"
            )
        return StepError(f"{uri}: {store} answers {said}; check S3_ENDPOINT and S3_USE_HTTPS, and the store's log")

    def _warn(self, state: tenacity.RetryCallState, patience: float) -> None:
        """Say that a request is waiting, once a minute for all requests."""
        error = state.outcome.exception() if state.outcome else None
        if error and (now := time.monotonic()) >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            logger.warning(
                "the store at %s %s; trying for %.0f s in all", self.endpoint, _state(_cause(error)), patience
            )


_KEY_FIX = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights of the key (pods have them from the Secret that "
    "[platform] s3_secret names, s3creds by default: `doctor --backend kubernetes` checks it)"
)


class _Content:
    """The content of an object, read as the body of an answer is."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    async def read(self, amount: int = -1) -> bytes:
        return self._content.read(amount)

    def close(self) -> None:
        self._content.close()


def _cause(error: BaseException) -> BaseException:
    """What the store answered, where s3fs has turned that into an error of its own."""
    return error.__cause__ if isinstance(error.__cause__, ClientError) else error


def _is_passing(cause: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(cause, ClientError):
        status = _status(cause)
        return _code(cause) in _PASSING_CODES or status == 429 or (status >= 500 and status != 501)
    if isinstance(cause, SSLError):
        return not any(fault in str(cause).lower() for fault in _LASTING_TLS_FAULTS)
    return isinstance(cause, (NoConnectionError, ConnectionError, TimeoutError, *S3_RETRYABLE_ERRORS))


def _state(cause: BaseException) -> str:
    return f"fails ({_said(cause)})" if isinstance(cause, ClientError) else f"does not answer ({_text(cause)})"


def _uri(request: dict[str, Any]) -> str:
    return f"s3://{request.get('Bucket', '')}/{request.get('Key') or request.get('Prefix', '')}".rstrip("/")


def _code(answer: ClientError) -> str:
    return str(answer.response.get("Error", {}).get("Code", ""))


def _status(answer: ClientError) -> int:
    """HTTP status."""
    return int(answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _said(answer: ClientError) -> str:
    """Code and words of the store, such as `403: Forbidden` or `AccessDenied: Access Denied.`."""
    return f"{_code(answer)}: {answer.response.get('Error', {}).get('Message', '')}".rstrip(": ")


def _text(cause: BaseException) -> str:
    """What happened, without the URL of the request that botocore puts before it."""
    origin = getattr(cause, "kwargs", {}).get("error") or cause
    return " ".join(str(origin).split()) or type(origin).__name__
