"""Image tag of a run: named by the user, or that of the commit as CI tags it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.origin import git

IMAGE_TAG = "IMAGE_TAG"
IMAGE_SOURCES = ("container_component_src", "requirements.txt", "requirements-torch.txt")  # what the image copies
_IMAGE_FILES = (*IMAGE_SOURCES, "Dockerfile", ".dockerignore")  # what determines the image
_HASH_LENGTH = 8  # of CI's tags


@dataclass(frozen=True)
class ImageTag:
    """A tag of the image.

    Attributes:
        tag: The tag.
        source: Origin of the tag, for messages.
        warnings: Reasons why an image with this tag may differ from the files of this checkout.
        chosen: Whether the user named the tag or it is that of the commit; False for the configured default.
    """

    tag: str
    source: str
    warnings: tuple[str, ...] = ()
    chosen: bool = True


def resolve_image_tag(option: str, environment: Mapping[str, str], configured: str, root: Path) -> ImageTag:
    """Choose the tag: the option, else IMAGE_TAG, else the short hash of the commit, else the configured tag.

    Args:
        option: Value of `--image-tag`; empty if it was not given.
        environment: Environment variables, with or without IMAGE_TAG.
        configured: `[image] tag` of the configuration, used outside of a git checkout.
        root: Root folder of the project.
    """
    if option:
        return ImageTag(option, "--image-tag")
    if environment.get(IMAGE_TAG):
        return ImageTag(environment[IMAGE_TAG], IMAGE_TAG)
    tag = git(root, "rev-parse", f"--short={_HASH_LENGTH}", "HEAD")
    if not tag:
        return ImageTag(configured, "[image] of the configuration", chosen=False)
    warnings = []
    if changed := git(root, "status", "--porcelain", "--", *_IMAGE_FILES):
        first = changed.splitlines()[0].split(maxsplit=1)[-1]
        warnings.append(f"uncommitted changes ({first}) are not in the image; commit them, or name an --image-tag")
    if not git(root, "branch", "--remotes", "--contains", "HEAD"):
        warnings.append(f"commit {tag} is not pushed, so CI has not built its image; push it, or name an --image-tag")
    return ImageTag(tag, "commit", tuple(warnings))
