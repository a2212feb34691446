"""Result of a check of `doctor`."""

from dataclasses import dataclass

from container_component_src.errors import PipelineError

CONNECT_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Check:
    """Outcome of one check."""

    name: str
    ok: bool
    detail: str
    fix: str = ""  # what the user can do if the check is not ok
    required: bool = True  # False if a run may succeed anyway, or the check was not possible

    @property
    def failed(self) -> bool:
        """Whether a run cannot succeed."""
        return self.required and not self.ok

    @property
    def state(self) -> str:
        """`ok`, `warning` or `failed`."""
        return "ok" if self.ok else "failed" if self.required else "warning"


def failed_check(name: str, error: PipelineError | OSError, fix: str = "") -> Check:
    """Return a failed check.

    Args:
        name: Name of the check.
        error: Error whose text is the detail, without its fix.
        fix: What the user can do; by default the fix of the error.
    """
    detail, own_fix = one_line(error), ""
    if isinstance(error, PipelineError) and "; " in detail:
        detail, _, own_fix = detail.rpartition("; ")
    return Check(name, False, detail, fix or own_fix)


def one_line(error: Exception) -> str:
    """Return the text of an error in one line, or the name of its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
