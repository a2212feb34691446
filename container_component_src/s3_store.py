"""Client of an S3 store that retries while the store is unavailable, and reports other errors with their fix.

The errors of s3fs do not name the store, and its `isfile` and `exists` treat most errors as an absent file. Here only
FileNotFoundError means that a file is absent. Import this module only to open an S3 address: importing s3fs is slow.
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
from s3fs.core import S3_RETRYABLE_ERRORS, S3FileSystem, aiobotocore

from container_component_src.errors import InputError, StepError
from container_component_src.s3_settings import AWS_ENDPOINT, CA_BUNDLE, PATIENCE_SECONDS, QUICK_SECONDS

logger = logging.getLogger(__name__)

MAX_PAUSE = 15.0  # seconds between two attempts
WARNING_INTERVAL = 60.0  # seconds

REQUEST_ERRORS = (OSError, BotoCoreError, *S3_RETRYABLE_ERRORS)
_RETRYABLE_CODES = {"SlowDown", "RequestTimeout", "OperationAborted", "Throttling", "TooManyRequests"}
_CHANGED_CODES = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_DENIED_CODES = {"AccessDenied", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}  # with any HTTP status
_REGION_CODES = {"AuthorizationHeaderMalformed", "PermanentRedirect", "301"}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
# Retrying cannot fix these handshakes; others fail while the store, or a proxy in front of it, is starting.
_PERMANENT_TLS_ERRORS = ("certificate", "wrong_version", "wrong version", "record layer failure")
_MAX_DELETED_AT_ONCE = 1000  # by the S3 protocol
_KEY_FIX = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the permissions of the key (pods get them from the Secret in "
    "[platform] s3_secret, s3creds by default: `doctor --backend kubernetes` checks it)"
)


class S3Store(S3FileSystem):
    """`S3FileSystem` that retries and that raises errors for the user.

    Args:
        patience: Seconds from the first failure of a request to the last attempt.
        options: Arguments of `S3FileSystem`.
    """

    retries = 1  # attempts of s3fs itself, which retries for too short a time and does not log it

    def __init__(self, patience: float = PATIENCE_SECONDS, **options: Any) -> None:
        session = aiobotocore.session.AioSession()
        # Keys come from `s3_settings`; those of the process's environment may belong to another store.
        session.get_component("credential_provider").remove("env")
        super().__init__(session=session, **options)
        self.patience = patience
        self._next_warning = 0.0  # on the monotonic clock

    async def _call_s3(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        """Send a request; s3fs sends all requests through this method.

        Raises:
            FileNotFoundError: There is no such object.
            InputError: A setting is wrong: key, permissions, bucket or certificate.
            StepError: The store does not answer within the patience, or returns another error.
        """
        # Parts of an aborted upload may stay, and the caller has already waited for the store.
        patience = min(self.patience, QUICK_SECONDS) if method == "abort_multipart_upload" else self.patience
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: _is_retryable(_cause(error))),
            # At least two attempts: the connection may have been closed since its last use.
            stop=tenacity.stop_all(tenacity.stop_after_attempt(2), tenacity.stop_after_delay(patience)),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=MAX_PAUSE, jitter=0.2),
            before_sleep=lambda state: self._warn(state, patience),
            reraise=True,
        )
        try:
            return await retrying(self._send, method, *akwarglist, **kwargs)
        except REQUEST_ERRORS as error:
            cause = _cause(error)
            if _is_retryable(cause):
                raise StepError(
                    f"{_uri(kwargs)}: the store at {self.endpoint} {_state(cause)}, for {patience:.0f} s",
                    fix="check that it runs, and that S3_ENDPOINT, S3_USE_HTTPS and --minio-endpoint are right",
                ) from cause
            raise self._translated(error, cause, kwargs) from cause

    call_s3 = sync_wrapper(_call_s3)  # the inherited wrapper calls the inherited method

    async def _send(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        """Send a request once; read the content of an object here, so that an interrupted read is retried."""
        response = await super()._call_s3(method, *akwarglist, **kwargs)
        if method == "get_object":
            body = response["Body"]
            try:
                response["Body"] = _Content(await body.read())
            finally:
                body.close()
        return response

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
        """Return the paths directly below a folder; if it is absent, s3fs itself would list the parent folder."""
        return [entry["name"] for entry in self._list(path)]

    _list = sync_wrapper(S3FileSystem._lsdir)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects of one bucket; the `rm` of s3fs ignores objects that the store refuses to delete.

        Raises:
            InputError: The key has no permission to delete.
            StepError: The store does not answer, or fails.
        """
        for first in range(0, len(paths), _MAX_DELETED_AT_ONCE):
            split = [path.split("/", 1) for path in paths[first : first + _MAX_DELETED_AT_ONCE]]
            objects = [{"Key": key} for _, key in split]
            response = self.call_s3("delete_objects", Bucket=split[0][0], Delete={"Objects": objects, "Quiet": True})
            for fault in response.get("Errors", []):
                error = ClientError({"Error": fault}, "DeleteObjects")
                raise self._translated(error, error, {"Bucket": split[0][0], "Key": fault["Key"]})

    def replace(self, path: str, content: bytes, version: str | None) -> bool:
        """Write a small object if it is still the version that was read.

        Args:
            path: Bucket and key.
            content: New content.
            version: ETag of that version; None: there was no object.

        Returns:
            Whether it was written. A store that does not know such conditions always writes.

        Raises:
            InputError: A setting is wrong.
            StepError: The store does not answer within the patience, or returns another error.
        """
        bucket, key = path.split("/", 1)
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            self.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **condition)
        except FileNotFoundError:  # it has been deleted
            return False
        except StepError as error:
            if isinstance(error.__cause__, ClientError) and _code(error.__cause__) in _CHANGED_CODES:
                return False
            raise
        return True

    @property
    def endpoint(self) -> str:
        """Address of the store."""
        return self.endpoint_url or AWS_ENDPOINT

    def _translated(self, error: Exception, cause: BaseException, request: dict[str, Any]) -> Exception:
        """Return the exception to raise for a permanent error."""
        uri, store = _uri(request), f"the store at {self.endpoint}"
        if isinstance(cause, ClientError):
            return self._translated_response(error, cause, request)
        if isinstance(cause, _NO_CREDENTIALS):
            return InputError(f"{uri}: no access key for {store}", fix=_KEY_FIX)
        if isinstance(cause, SSLError):
            return InputError(
                f"{uri}: no trusted connection to {store} ({_text(cause)})",
                fix=f"give the certificate of its authority in {CA_BUNDLE} (PEM text) or AWS_CA_BUNDLE (path), or set "
                "S3_USE_HTTPS to false if it uses plain HTTP",
            )
        if isinstance(cause, ParamValidationError):
            return InputError(f"{uri}: no valid S3 address ({_text(cause)})", fix="give one like s3://bucket/key")
        return error

    def _translated_response(self, error: Exception, cause: ClientError, request: dict[str, Any]) -> Exception:
        """Return the exception to raise for an error that the store returned."""
        uri, store = _uri(request), f"the store at {self.endpoint}"
        code, status, message = _code(cause), _status(cause), _message(cause)
        if code == "NoSuchBucket":
            return InputError(
                f"{uri}: no bucket '{request.get('Bucket')}' in {store}",
                fix="check the name and S3_ENDPOINT, or create the bucket",
            )
        if isinstance(error, FileNotFoundError):
            return error
        if code in _REGION_CODES:
            return InputError(f"{uri}: {store} is in another region ({message})", fix="set AWS_DEFAULT_REGION")
        # The response to a HEAD request with an expired token is a 400 without a code.
        if status in {401, 403} or code in _DENIED_CODES or (code == "400" and self.token):
            key = f"{self.key or '(of the default credentials)'}{' with AWS_SESSION_TOKEN' if self.token else ''}"
            return InputError(f"{uri}: {store} refuses access key ID {key} ({message})", fix=_KEY_FIX)
        return StepError(
            f"{uri}: {store} answers {message}", fix="check S3_ENDPOINT and S3_USE_HTTPS, and the store's log"
        )

    def _warn(self, state: tenacity.RetryCallState, patience: float) -> None:
        """Log that a request is being retried, once a minute for all requests."""
        error = state.outcome.exception() if state.outcome else None
        if error and (now := time.monotonic()) >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            logger.warning(
                "the store at %s %s; retrying for up to %.0f s", self.endpoint, _state(_cause(error)), patience
            )


class _Content:
    """Content of an object in memory, with the methods of a response body."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    async def read(self, amount: int = -1) -> bytes:
        return self._content.read(amount)

    def close(self) -> None:
        self._content.close()


def _cause(error: BaseException) -> BaseException:
    """Return the store's own error if s3fs has replaced it."""
    return error.__cause__ if isinstance(error.__cause__, ClientError) else error


def _is_retryable(cause: BaseException) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(cause, ClientError):
        status = _status(cause)
        return _code(cause) in _RETRYABLE_CODES or status == 429 or (status >= 500 and status != 501)
    if isinstance(cause, SSLError):
        return not any(text in str(cause).lower() for text in _PERMANENT_TLS_ERRORS)
    return isinstance(cause, (NoConnectionError, ConnectionError, TimeoutError, *S3_RETRYABLE_ERRORS))


def _state(cause: BaseException) -> str:
    return f"fails ({_message(cause)})" if isinstance(cause, ClientError) else f"does not answer ({_text(cause)})"


def _uri(request: dict[str, Any]) -> str:
    return f"s3://{request.get('Bucket', '')}/{request.get('Key') or request.get('Prefix', '')}".rstrip("/")


def _code(response: ClientError) -> str:
    return str(response.response.get("Error", {}).get("Code", ""))


def _status(response: ClientError) -> int:
    """Return the HTTP status, or 0."""
    return int(response.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _message(response: ClientError) -> str:
    """Return code and message of the store, such as `403: Forbidden` or `AccessDenied: Access Denied.`."""
    return f"{_code(response)}: {response.response.get('Error', {}).get('Message', '')}".rstrip(": ")


def _text(cause: BaseException) -> str:
    """Return the error's text without the URL of the request that botocore prepends."""
    origin = getattr(cause, "kwargs", {}).get("error") or cause
    return " ".join(str(origin).split()) or type(origin).__name__
