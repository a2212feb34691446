"""Checks of the data root that write nothing."""

from container_component_src import storage
from container_component_src.data_root import check_unused, is_marked
from container_component_src.errors import PipelineError
from container_component_src.maintenance.checks import Check, failed_check
from container_component_src.maintenance.input_checks import check_buckets

NAME = "data root"


def check_data_root(data_root: str) -> list[Check]:
    """Check, without writing, whether a run can use a folder as its data root.

    Args:
        data_root: Folder in a store that is reachable.
    """
    try:
        root = storage.resolve(data_root)
        buckets = [] if root.is_local else check_buckets([root])
        if not all(check.ok for check in buckets):
            return buckets
        marked = is_marked(root)
        if not marked:
            check_unused(root)
    except PipelineError as error:
        return [failed_check(NAME, error)]
    state = "has data of earlier runs" if marked else "new, the first run marks it"
    return [*buckets, Check(NAME, True, f"{root.uri}: {state}")]
