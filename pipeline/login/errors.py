"""Errors between this machine and a platform, each a single line that names the fix."""

import re
from http import HTTPStatus

from container_component_src.errors import StepError
from container_component_src.waiting import TRANSIENT_STATUSES

_MAX_REASON = 300  # characters
_WRONG_SERVER = -1  # status of an answer that did not come from the platform
_NO_TLS = ("wrong version number", "wrong_version_number", "record layer failure")  # OpenSSL's words for it
_RETRY_OR_ASK = "try again, or ask the platform's administrator"
_GATEWAY_STATUSES = {301, 302, 303, 307, 308, 403, 404}
_TRANSIENT_STATUSES = {0, *TRANSIENT_STATUSES}  # 0: no answer


class PlatformError(StepError):
    """The platform cannot be reached, or it refuses a request.

    Args:
        problem: What is wrong.
        fix: What the user can do about it.
        status: HTTP status of the answer; 0 if there was none, -1 if another server answered.
        from_api: Whether Kubeflow Pipelines itself refused, and not a gateway in front of it.
    """

    def __init__(self, problem: str, *, fix: str = "", status: int = 0, from_api: bool = False) -> None:
        super().__init__(problem, fix=fix)
        self.status = status
        self.from_api = from_api

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _TRANSIENT_STATUSES

    @property
    def is_transient_after_login(self) -> bool:
        """Whether the same request may succeed later, provided that the login has worked before.

        While its login service restarts, a gateway answers 403, 404 or a redirect. While the API cannot ask Kubernetes
        about tokens and rights, it answers 401 or 403.
        """
        by_gateway = self.status in _GATEWAY_STATUSES and not self.from_api
        return self.is_transient or self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or by_gateway


def untrusted(host: str, reason: str) -> PlatformError:
    """Return the error for a certificate that cannot be verified; retrying does not help."""
    return PlatformError(
        f"{host}: the certificate is not trusted ({reason})",
        fix="name its authority with --ca-bundle FILE, or trust any certificate with --insecure",
        status=_WRONG_SERVER,
    )


def unreachable(host: str, reason: str) -> PlatformError:
    """Return the error for a connection that could not be opened."""
    fix = "check the address, the network and the port-forward"
    if any(words in reason.lower() for words in _NO_TLS):
        fix = f"the server does not use TLS: write {host.replace('https:', 'http:', 1)} if that is intended"
    return PlatformError(f"{host}: not reachable ({reason})", fix=fix)


def too_slow(host: str, seconds: float) -> PlatformError:
    """Return the error for an answer that did not come in time."""
    return PlatformError(f"{host}: no answer within {seconds:g} s", fix=_RETRY_OR_ASK)


def broken_off(host: str) -> PlatformError:
    """Return the error for a connection that broke before the answer."""
    return PlatformError(f"{host}: the connection broke before the answer", fix="try again")


def failing(host: str, status: int, reason: str) -> PlatformError:
    """Return the error for a problem of the platform itself (5xx)."""
    return PlatformError(f"{host}: answers {status} {reason}", fix=_RETRY_OR_ASK, status=status)


def not_logged_in(host: str, status: int, answer: str, fix: str) -> PlatformError:
    """Return the error for an API that rejects the login, even after a new one."""
    return PlatformError(
        f"{host}: the API does not accept the login ({status}{answer and f', {answer}'})", fix=fix, status=status
    )


def not_ready(host: str) -> PlatformError:
    """Return the error for pages of Kubeflow Pipelines that answer while the API server behind them does not."""
    return PlatformError(
        f"{host}: the API server of Kubeflow Pipelines is not ready",
        fix="try again in a minute, or ask the platform's administrator to check the deployment ml-pipeline",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
    )


def no_api(host: str, found: str) -> PlatformError:
    """Return the error for an address that belongs to something else."""
    return PlatformError(
        f"{host}: no Kubeflow Pipelines API at this address (found {found})",
        fix="check KUBEFLOW_ENDPOINT",
        status=_WRONG_SERVER,
    )


def refused(host: str, status: int, reason: str, from_api: bool) -> PlatformError:
    """Return the error for a request that the platform refuses (4xx)."""
    fix = "check KUBEFLOW_NAMESPACE and your rights there" if status == HTTPStatus.FORBIDDEN else "check the request"
    return PlatformError(f"{host}: refuses with {status} ({reason})", fix=fix, status=status, from_api=from_api)


def one_line(text: str) -> str:
    """Return the informative part of an error of OpenSSL, the system or an API."""
    first = text.strip().partition("\n")[0]
    plain = re.sub(r"\[[^\]]*\] ?|\(_ssl\.c:\d+\)|certificate verify failed: ", "", first).strip(" .")
    return plain if len(plain) <= _MAX_REASON else plain[: _MAX_REASON - 1] + "…"
