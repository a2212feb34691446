"""Who may use the console: a token, sessions that follow from it, and a limit of wrong tokens."""

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from container_component_src.credentials import header_value
from container_component_src.errors import InputError
from container_component_src.files import read_text
from container_component_src.steps.console import TOKEN_VARIABLE, Console

LEAST_TOKEN = 16  # characters
SESSION_SECONDS = 12 * 3600
FAILURES = 5  # wrong tokens from one address within `FAILURE_SECONDS`
ALL_FAILURES = 50  # from all addresses
FAILURE_SECONDS = 60.0
_FIX = "make one, for example with `openssl rand -base64 24`"


def read_token(arguments: Console, environment: Mapping[str, str]) -> str:
    """Return the token that operators sign in with; empty if there is none, which is allowed on loopback alone.

    Raises:
        InputError: There is none where other machines reach the console, or it is short or no token.
    """
    name = arguments.token_file or TOKEN_VARIABLE
    text = read_text(Path(arguments.token_file)) if arguments.token_file else environment.get(TOKEN_VARIABLE, "")
    token = header_value(text, name)
    if not token and arguments.token_file:
        raise InputError(f"{name}: the file is empty", fix=_FIX)
    if not token and not arguments.on_loopback:
        raise InputError(
            f"--host {arguments.host}: other machines can reach this address, but there is no token",
            fix=f"set {TOKEN_VARIABLE} or --token-file; {_FIX}",
        )
    if token and len(token) < LEAST_TOKEN:
        raise InputError(f"{name}: the token has fewer than {LEAST_TOKEN} characters", fix=_FIX)
    return token


class Access:
    """Checks tokens and sessions.

    A session is signed with the token: it lasts when the console restarts, and ends when the token is changed.

    Args:
        token: The token; empty: everybody may use the console.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        self.needed = bool(token)
        self._clock = clock
        self._digest = _digest(token)
        self._key = hmac.digest(token.encode(), b"session of the console", "sha256")
        self._failures: deque[tuple[float, str]] = deque()  # time and address

    def is_token(self, text: str, address: str) -> bool:
        """Return whether a text is the token; what is wrong counts as a failure of the address."""
        if hmac.compare_digest(_digest(text), self._digest):
            return True
        self._failures.append((self._clock(), address))
        return False

    def must_wait(self, address: str) -> float:
        """Return the seconds until an address may try a token again; 0: it may."""
        now = self._clock()
        while self._failures and self._failures[0][0] <= now - FAILURE_SECONDS:
            self._failures.popleft()
        own = [when for when, who in self._failures if who == address]
        waits = [
            items[-most]
            for items, most in ((own, FAILURES), ([when for when, _ in self._failures], ALL_FAILURES))
            if len(items) >= most
        ]
        return max([when + FAILURE_SECONDS - now for when in waits], default=0.0)

    def new_session(self) -> str:
        """Return the value of a session's cookie."""
        content = f"{int(self._clock()) + SESSION_SECONDS}.{secrets.token_hex(8)}"
        return f"{content}.{self._signature(content)}"

    def is_session(self, cookie: str) -> bool:
        """Return whether a cookie is that of a session that has not ended."""
        content, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._signature(content).encode(), signature.encode()):
            return False
        return int(content.partition(".")[0]) > self._clock()

    def _signature(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), "sha256").hexdigest()


def _digest(text: str) -> bytes:
    """Return a digest, whose comparison tells nothing of the length of a text."""
    return hashlib.sha256(text.encode()).digest()
