"""What a check of `doctor` finds."""

from dataclasses import dataclass

from container_component_src.errors import PipelineError

CONNECT_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str
    fix: str = ""  # how to fix it where it is not ok
    required: bool = True  # no: a run may succeed all the same, or this could not be looked at

    @property
    def failed(self) -> bool:
        """Whether a run cannot succeed like this."""
        return self.required and not self.ok

    @property
    def state(self) -> str:
        """`ok`, `warning` or `failed`."""
        return "ok" if self.ok else "failed" if self.required else "warning"


def failed_check(name: str, error: PipelineError) -> Check:
    """A check that ended with an error of ours, whose text ends with the fix."""
    detail, _, fix = str(error).rpartition("; ")
    return Check(name, False, detail or fix, fix if detail else "")
