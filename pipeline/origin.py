"""What the runs of a compiled pipeline say they were compiled from."""

import subprocess
from pathlib import Path

from container_component_src.settings import Settings
from container_component_src.steps.shared import Origin


def origin_of(settings: Settings, config_file: Path, root: Path, *, local: bool, containers: bool = False) -> Origin:
    """Return the origin of a pipeline.

    Args:
        settings: The configuration.
        config_file: Its file.
        root: Root folder of the project.
        local: Whether the pipeline runs on this machine; otherwise it has no path of this machine.
        containers: Whether it runs in containers here.
    """
    config = config_file.expanduser().absolute()
    inside = config.is_relative_to(root)
    return Origin(
        **settings.report.model_dump(),
        config=str(config.relative_to(root) if inside else config if local else config.name),
        commit=git(root, "describe", "--always", "--exclude", "*", "--abbrev=40", "--dirty"),  # as `make image` labels
        image=settings.image.reference if containers or not local else "",
    )


def git(root: Path, *arguments: str) -> str:
    """Return the output of git; empty without git or outside of a checkout."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - a failure is an answer here
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
