"""What may go wrong between here and the platform, each as one line that names the fix."""

import re
from http import HTTPStatus

from container_component_src.errors import StepError

_LONGEST = 300  # characters of a reason


class PlatformError(StepError):
    """The platform cannot be reached, or refuses.

    Attributes:
        status: HTTP status of the answer; 0 if there was none, -1 if the wrong one answered.
        from_api: Whether Kubeflow Pipelines itself refuses, not a gateway before it.
    """

    def __init__(self, message: str, status: int = 0, from_api: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.from_api = from_api

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in _PASSING

    @property
    def may_pass_after_login(self) -> bool:
        """Whether it may succeed a little later if the login has worked before.

        A gateway whose login service restarts answers 403, 404 or redirects, and the API answers 401 or 403 while it
        cannot ask Kubernetes about tokens and rights.
        """
        by_gateway = self.status in _OF_GATEWAYS and not self.from_api
        return self.may_pass or self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or by_gateway


_NOT_THE_PLATFORM = -1
_NO_TLS = ("wrong version number", "wrong_version_number", "record layer failure")  # how OpenSSL says it
_OF_GATEWAYS = {301, 302, 303, 307, 308, 403, 404}
_PASSING = {0, 408, 425, 429, 500, 502, 503, 504}


def untrusted(host: str, reason: str) -> PlatformError:
    """The certificate could not be verified; waiting does not help."""
    return PlatformError(
        f"{host}: the certificate is not trusted ({reason}): "
        "name its authority with --ca-bundle FILE, or trust any certificate with --insecure",
        status=_NOT_THE_PLATFORM,
    )


def unreachable(host: str, reason: str) -> PlatformError:
    """No connection came about."""
    fix = "check the address, the network and the port-forward"
    if any(words in reason.lower() for words in _NO_TLS):
        fix = f"it speaks no TLS: write {host.replace('https:', 'http:', 1)} if that is meant, as with a port-forward"
    return PlatformError(f"{host}: not reachable ({reason}): {fix}")


def too_slow(host: str, seconds: float) -> PlatformError:
    """No answer came in time."""
    return PlatformError(f"{host}: no answer within {seconds:g} s: try again, or ask who runs the platform")


def broken_off(host: str) -> PlatformError:
    """The connection broke while the answer was waited for."""
    return PlatformError(f"{host}: the connection broke before the answer: try again")


def failing(host: str, status: int, reason: str) -> PlatformError:
    """The platform itself has a problem (5xx)."""
    return PlatformError(f"{host}: answers {status} {reason}: try again, or ask who runs the platform", status)


def not_let_in(host: str, status: int, said: str, fix: str) -> PlatformError:
    """The API does not know us, not even after a new login."""
    return PlatformError(f"{host}: does not take the login for the API ({status}{said and f', {said}'}): {fix}", status)


def not_ready(host: str) -> PlatformError:
    """The pages of Kubeflow Pipelines answer, but not the API server behind them."""
    return PlatformError(
        f"{host}: the API server of Kubeflow Pipelines is not ready: try again in a minute, or ask who runs the "
        "platform to look at deployment ml-pipeline",
        HTTPStatus.SERVICE_UNAVAILABLE,
    )


def no_api(host: str, instead: str) -> PlatformError:
    """Something else is at the address."""
    return PlatformError(
        f"{host}: no Kubeflow Pipelines API there ({instead} instead): check KUBEFLOW_ENDPOINT",
        status=_NOT_THE_PLATFORM,
    )


def refused(host: str, status: int, reason: str, from_api: bool) -> PlatformError:
    """The platform does not do what it is asked for (4xx)."""
    fix = "check KUBEFLOW_NAMESPACE and your rights there" if status == 403 else "check what is sent"
    return PlatformError(f"{host}: refuses with {status} ({reason}): {fix}", status, from_api)


def one_line(text: str) -> str:
    """The part of an error of OpenSSL, the system or an API that says something to users."""
    first = text.strip().partition("\n")[0]
    plain = re.sub(r"\[[^\]]*\] ?|\(_ssl\.c:\d+\)|certificate verify failed: ", "", first).strip(" .")
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
