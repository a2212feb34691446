"""Which right a request to the API takes."""

import re
from typing import Any

from container_component_src.cluster.rights import RIGHTS
from tests.cluster.emulator import Emulator

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/namespaces/[^/]+/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>.+))?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_GRANTED = {(right.group, right.resource, verb) for right in RIGHTS for verb in right.verbs}


def not_granted(emulator: Emulator) -> set[tuple[str, str, str]]:
    """What the clients of the steps asked for without a right to it: group, resource and verb."""
    asked = {_right(request) for request in list(emulator.api.seen) if _is_a_steps(request)}
    return {right for right in asked if right is not None and right not in _GRANTED}


def _is_a_steps(request: Any) -> bool:
    """Operators that tests start have other clients than the steps."""
    return "OpenAPI-Generator" in request.headers.get("User-Agent", request.headers.get("user-agent", ""))


def _right(request: Any) -> tuple[str, str, str] | None:
    match = _PATH.fullmatch(request.url.path)
    if match is None:
        return None
    resource = match["plural"] + (f"/{match['sub']}" if match["sub"] else "")
    verb = _VERBS.get(str(request.method.value), "get" if match["name"] else "list")
    return match["group"] or "", resource, verb
