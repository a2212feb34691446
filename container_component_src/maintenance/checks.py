"""What a check of `doctor` finds."""

from dataclasses import dataclass

CONNECT_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str
    mend: str = ""  # what to do where it failed
