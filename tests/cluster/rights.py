"""Rights that deploy/rbac.yaml grants, and the right that a request to the API needs."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

ROLE = Path(__file__).resolve().parents[2] / "deploy" / "rbac.yaml"
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?P<inside>/namespaces/[^/]+)?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>.+))?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

Right = tuple[str, str, str]  # group, resource with its subresource, verb


@cache
def granted() -> frozenset[Right]:
    """Return the rights of the steps."""
    role, _ = yaml.safe_load_all(ROLE.read_text())
    return frozenset(
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def right_of(method: str, path: str, query: Mapping[str, str]) -> Right | None:
    """Return the right that a request needs; None for requests allowed to everybody, such as API discovery.

    A request for all namespaces needs a right that no role of a namespace can grant.
    """
    match = _PATH.fullmatch(path)
    if match is None or match["plural"].endswith("reviews"):
        return None
    resource = "/".join(filter(None, (match["plural"], match["sub"])))
    where = "" if match["inside"] else " of all namespaces"
    read = "watch" if query.get("watch") == "true" else "get" if match["name"] else "list"
    return match["group"] or "", resource + where, _VERBS.get(method, read)
