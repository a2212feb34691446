"""What a container of a manifest finds when it starts."""

from collections.abc import Mapping
from typing import Any


def environment_of(container: Mapping[str, Any], secret: Mapping[str, str]) -> dict[str, str]:
    """The variables of a container, those from the Secret included where it has their keys."""
    found = {}
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
        value = secret.get(reference["key"]) if reference else variable["value"]
        if value is not None:
            found[variable["name"]] = value
    return found
