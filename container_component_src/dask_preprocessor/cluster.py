"""What a preprocessing asks of its cluster."""

# Of schedulers and workers. Dask's sampling profiler calls `sys._current_frames`, which can deadlock with the garbage
# collector (python/cpython#106883, seen with Python 3.11.7). Nothing here reads its samples.
DASK_SETTINGS = {"distributed.worker.profile.enabled": False}
