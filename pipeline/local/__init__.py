"""Local runs of a compiled pipeline, without a cluster."""

from pipeline.local.runner import LocalRunOptions, run_locally
from pipeline.local.summary import RunStatus, RunSummary

__all__ = ["LocalRunOptions", "RunStatus", "RunSummary", "run_locally"]
