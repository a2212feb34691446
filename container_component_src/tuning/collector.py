r"""Collector of the objective from a trial's output by the rules of Katib's StdOut collector, so that backends agree.

The rules are those of Katib v1beta1 (`pkg/metricscollector/v1beta1/file-metricscollector` for the lines,
`pkg/controller.v1beta1/trial/trial_controller_util.go` for the minimum): only lines with the metric's name are
read, every match of the filter on such a line counts if its first group is exactly that name, and reports that are not
finite numbers are ignored. A line may begin with an RFC 3339 timestamp; the minimum does not depend on it.
"""

import math
import re
from collections.abc import Iterable

# Katib's default filter (name, `=`, number) with two differences. Inner groups do not capture, because Katib requires
# exactly two groups in an explicit filter. A digit is required: the default also matches `val_loss=nan`, with an empty
# value, which makes such a trial the optimum.
METRIC_FILTER = r"([\w|-]+)\s*=\s*([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[Ee][+-]?\d+)?)"
OBJECTIVE = "val_loss"  # minimised

_FILTER = re.compile(METRIC_FILTER, re.ASCII)  # \w, \d and \s of Go are ASCII only


class MetricsUnavailableError(Exception):
    """A trial ended without reporting the objective; Katib's condition `MetricsUnavailable`."""


def collect(lines: Iterable[str], metric: str) -> list[float]:
    r"""Return all reports of a metric, in the order of the output.

    Args:
        lines: Output, split only at `\n` (the `\r` of a progress bar does not end a line).
        metric: Exact name; `val_loss` is not found in `best_val_loss=1`.
    """
    matches = (match for line in lines if metric in line for match in _FILTER.finditer(line))
    values = [float(match[2]) for match in matches if match[1] == metric]
    return [value for value in values if math.isfinite(value)]  # 1e999 is infinite, in Go too


def objective(lines: Iterable[str]) -> float:
    """Return the smallest report of the objective, as Katib does by default for an objective that is minimised.

    Raises:
        MetricsUnavailableError: There is no report.
    """
    values = collect(lines, OBJECTIVE)
    if not values:
        raise MetricsUnavailableError(f"no {OBJECTIVE}=<number> in the output")
    return min(values)
