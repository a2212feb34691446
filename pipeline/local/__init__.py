"""Local runs of a compiled pipeline, without a cluster."""

from pipeline.local.runner import LocalRunOptions, run_locally
from pipeline.local.summary import RunStatus, RunSummary, SummaryRules

__all__ = ["LocalRunOptions", "RunStatus", "RunSummary", "SummaryRules", "run_locally"]
