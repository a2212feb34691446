"""What a preprocessing asks of its cluster."""

from dataclasses import dataclass

from container_component_src.errors import InputError

# Of schedulers and workers. Dask's sampling profiler calls `sys._current_frames`, which can deadlock with the garbage
# collector (python/cpython#106883, seen with Python 3.11.7). Nothing here reads its samples.
DASK_SETTINGS = {"distributed.worker.profile.enabled": False}


@dataclass(frozen=True)
class ClusterSpec:
    """A Dask cluster, of a fixed size or as large as the work asks for.

    Raises:
        InputError: The bounds do not fit each other.
    """

    num_workers: int
    min_workers: int = 0  # bounds of an adaptive cluster; both 0 for a fixed one
    max_workers: int = 0

    def __post_init__(self) -> None:
        if self.adaptive and not 1 <= self.min_workers <= self.max_workers:
            raise InputError(
                f"--min-workers {self.min_workers} and --max-workers {self.max_workers} are no range from 1 up; "
                "leave out both for a fixed number of workers"
            )

    @property
    def adaptive(self) -> bool:
        """Whether workers come and go with the work."""
        return bool(self.min_workers or self.max_workers)

    @property
    def first_workers(self) -> int:
        """How many workers there have to be before the work begins."""
        return self.min_workers if self.adaptive else self.num_workers
