"""Which version of the image a run uses: named, or that of the commit, as CI tags it."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

IMAGE_TAG = "IMAGE_TAG"
_HASH_LENGTH = 8  # of the tags that CI gives


@dataclass(frozen=True)
class ImageTag:
    """A tag of the image.

    Attributes:
        tag: The tag.
        source: Where it comes from, for messages.
        warnings: Why an image with this tag may not hold what lies here.
        chosen: Whether it was named, or is that of the commit.
    """

    tag: str
    source: str
    warnings: tuple[str, ...] = ()
    chosen: bool = True


def resolve_image_tag(option: str, environment: Mapping[str, str], configured: str, root: Path) -> ImageTag:
    """Choose the tag: the option, else IMAGE_TAG, else the short hash of the commit, else the configured one.

    Args:
        option: `--image-tag`; empty if it was not given.
        environment: With IMAGE_TAG or without.
        configured: `[image] tag`, for a project that is no git checkout.
        root: Folder of the project.
    """
    if option:
        return ImageTag(option, "--image-tag")
    if environment.get(IMAGE_TAG):
        return ImageTag(environment[IMAGE_TAG], IMAGE_TAG)
    tag = _git(root, "rev-parse", f"--short={_HASH_LENGTH}", "HEAD")
    if not tag:
        return ImageTag(configured, "[image] of the configuration", chosen=False)
    warnings = []
    if _git(root, "status", "--porcelain"):
        warnings.append("changes that are not committed are not in the image: commit them, or name its --image-tag")
    if not _git(root, "branch", "--remotes", "--contains", "HEAD"):
        warnings.append(f"commit {tag} is not pushed, so CI has made no image of it: push, or name an --image-tag")
    return ImageTag(tag, "commit", tuple(warnings))


def _git(root: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, or no checkout."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - a failure is an answer here
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
