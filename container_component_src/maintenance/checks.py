"""Result of a check of `doctor` or of the preflight, and the check of image references that both make."""

from collections.abc import Iterable
from dataclasses import dataclass

from container_component_src.errors import PipelineError
from container_component_src.names import has_registry

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


def check_registries(images: Iterable[str], pull_policy: str) -> list[Check]:
    """Check that each image names its registry: the nodes of a cluster look for any other one on Docker Hub.

    Images that are never pulled need none: the nodes have them already, as those of a kind cluster may.
    """
    nameless = [image for image in images if not has_registry(image)]
    if not nameless or pull_policy == "Never":
        return []
    repository = nameless[0].partition(":")[0]
    fix = (
        f"name it in [image] of the configuration, as REGISTRY/{repository} (docker.io/... for Docker Hub), or set "
        'pull_policy = "Never" if the nodes have the image'
    )
    return [Check("registry", False, f"{', '.join(nameless)} names no registry, so nodes ask Docker Hub for it", fix)]
