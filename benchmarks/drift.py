"""False alarm rate and power of the detection of drift, beside reference implementations that take rows as independent.

The references are the population stability index of feature-engine, and the Kolmogorov-Smirnov test of SciPy with the
p-values adjusted by statsmodels. Both get the same rows. `python -m benchmarks.drift` takes some minutes on one core.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from feature_engine.selection import DropHighPSIFeatures
from scipy.signal import lfilter
from scipy.stats import ks_2samp
from statsmodels.stats.multitest import multipletests

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.drift.judgement import Measured, judge
from container_component_src.drift.measures import holm
from container_component_src.drift.period import PeriodCounts
from container_component_src.example_data import ExampleDataSpec, generate
from container_component_src.steps.drift import DriftLimits
from container_component_src.telemetry.distribution import Distribution

LIMITS = DriftLimits()
MINUTE = 60 * 10**9
DAY = 1_440 * MINUTE
REFERENCE_ROWS = 3_000  # that the reference implementations compare with
MOST_ROWS = 3_000  # of a window, evenly spaced, that they get
CHANGED = 2  # channels that a shift changes
WINDOWS, WINDOWS_OF_OTHERS, WINDOWS_WITH_SHIFT = 200, 20, 6
Series = Float64Array  # [rows, channels]
Shift = Callable[[Series, Float64Array, np.random.Generator], Series]  # of rows, by the standard deviations


@dataclass(frozen=True)
class Telemetry:
    """Telemetry of normal operation: a reference, and later rows of which windows are checked."""

    name: str
    times: Timestamps
    reference: Series
    later_times: Timestamps
    later: Series

    def windows(self, days: float, most: int) -> Iterator[tuple[Timestamps, Series]]:
        """Yield evenly spaced windows of the later rows, which overlap if there are too few."""
        rows = int(days * DAY / np.median(np.diff(self.later_times)))
        for start in np.linspace(0, len(self.later) - rows, most).astype(int):
            yield self.later_times[start : start + rows], self.later[start : start + rows]


def _offset(size: float) -> Shift:
    return lambda rows, scale, _: rows + size * scale


def _wider(rows: Series, scale: Float64Array, generator: np.random.Generator) -> Series:
    mean = np.nanmean(rows, axis=0)
    return np.asarray(mean + 2 * (rows - mean))


def _ramp(rows: Series, scale: Float64Array, generator: np.random.Generator) -> Series:
    return rows + 3 * scale * np.linspace(0, 1, len(rows))[:, None]


def _stuck(rows: Series, scale: Float64Array, generator: np.random.Generator) -> Series:
    return np.where(np.arange(len(rows))[:, None] < len(rows) // 2, rows, rows[len(rows) // 2])


def _missing(rows: Series, scale: Float64Array, generator: np.random.Generator) -> Series:
    return np.where(generator.random(rows.shape) < 0.2, np.nan, rows)


SHIFTS: Mapping[str, Shift] = {
    "offset of 1 standard deviation": _offset(1),
    "offset of 2": _offset(2),
    "offset of 4": _offset(4),
    "twice the deviations": _wider,
    "ramp from 0 to 3": _ramp,
    "stuck in the second half": _stuck,
    "a fifth missing": _missing,
}


class Detectors:
    """The detectors with the same reference.

    Args:
        telemetry: What they compare with.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._references = [_reference(telemetry.times, column) for column in telemetry.reference.T]
        step = -(-len(telemetry.reference) // REFERENCE_ROWS)
        self._sample = telemetry.reference[::step]

    def found(self, times: Timestamps, rows: Series, with_others: bool = True) -> dict[str, set[int]]:
        """Return the channels that each detector says have drifted; without the slow other ones on request."""
        own = {"check_drift": self._own(times, rows)}
        if not with_others:
            return own
        some = rows[:: -(-len(rows) // MOST_ROWS)]
        psi, ks = self._stability(some), self._kolmogorov_smirnov(some)
        return {**own, "PSI": psi, "KS": ks, "PSI and KS": psi & ks}

    def _own(self, times: Timestamps, rows: Series) -> set[int]:
        period = PeriodCounts(self._references)
        period.add(times, rows)
        measured = [Measured.of(known, period.counts(i), period) for i, known in enumerate(self._references)]
        adjusted = holm({str(i): item.p_value for i, item in enumerate(measured) if item.p_value is not None})
        return {
            i
            for i, (item, known) in enumerate(zip(measured, self._references, strict=True))
            if judge(item, adjusted.get(str(i)), known, period, LIMITS).drifted
        }

    def _stability(self, rows: Series) -> set[int]:
        """The channels whose index is above the limit, by feature-engine; it takes no missing values."""
        both = np.concatenate([self._sample, rows])
        table = pd.DataFrame(both, columns=[f"c{i}" for i in range(both.shape[1])])
        table["part"] = np.repeat([1, 2], [len(self._sample), len(rows)])
        table = table.ffill().bfill()
        selector = DropHighPSIFeatures(split_col="part", cut_off=1, threshold=LIMITS.psi_limit, bins=10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            selector.fit(table)
        return {int(name[1:]) for name, index in selector.psi_values_.items() if index > LIMITS.psi_limit}

    def _kolmogorov_smirnov(self, rows: Series) -> set[int]:
        """The channels with a significant distance, by SciPy and statsmodels."""
        pairs = zip(self._sample.T, rows.T, strict=True)
        p_values = [ks_2samp(*(part[~np.isnan(part)] for part in pair), method="asymp").pvalue for pair in pairs]
        rejected = multipletests(p_values, alpha=LIMITS.alpha, method="holm")[0]
        return {int(i) for i in np.flatnonzero(rejected)}


def _reference(times: Timestamps, values: Float64Array) -> Distribution:
    known = ~np.isnan(values)
    return Distribution.of(times[known], values[known], 1 - float(known.mean()))


def autoregressive(correlation: float, channels: int = 20, rows: int = 100_000, seed: int = 0) -> Telemetry:
    """Return series of the first order with this correlation of neighbouring rows, one a minute."""
    noise = np.random.default_rng(seed).standard_normal((5 * rows + 1_000, channels))
    series = lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], noise, axis=0)[1_000:]
    times = np.arange(5 * rows) * MINUTE
    return Telemetry(f"AR(1), {correlation:g}", times[:rows], series[:rows], times[rows:], series[rows:])


def example(every: int = 3) -> Telemetry:
    """Return the channels of the example without its anomalies, of each third row: the first year, and the second."""
    with tempfile.TemporaryDirectory() as folder:
        archives = generate(Path(folder), ExampleDataSpec(anomalies=0)).archives
        years = [pd.read_parquet(archive)[::every] for archive in archives]
    time = next(name for name in years[0] if isinstance(years[0][name].dtype, pd.DatetimeTZDtype))
    names = [name for name in years[0] if years[0][name].dtype.kind == "f"]
    parts: list[np.ndarray] = []
    for year in years:
        parts += [year[time].to_numpy("datetime64[ns]").astype(np.int64), year[names].to_numpy(dtype=np.float64)]
    return Telemetry("example", *parts)


def false_alarms(detectors: Detectors, telemetry: Telemetry, days: float) -> dict[str, tuple[float, float]]:
    """Return by detector the share of the windows with an alarm, and the share of the channels with one."""
    counts: dict[str, list[float]] = {}
    for number, (times, rows) in enumerate(telemetry.windows(days, WINDOWS)):
        others = number % (WINDOWS // WINDOWS_OF_OTHERS) == 0
        for name, channels in detectors.found(times, rows, others).items():
            counts.setdefault(name, []).append(len(channels) / rows.shape[1])
    return {name: (float(np.mean(np.array(shares) > 0)), float(np.mean(shares))) for name, shares in counts.items()}


def power(
    detectors: Detectors, windows: Iterable[tuple[Timestamps, Series]], shift: Shift, scale: Float64Array
) -> dict[str, tuple[float, float]]:
    """Return by detector the share of the changed channels that it finds, and the others that it names per window."""
    generator = np.random.default_rng(7)
    counts: dict[str, list[tuple[float, int]]] = {}
    for times, rows in windows:
        chosen = generator.choice(rows.shape[1], CHANGED, replace=False)
        changed = rows.copy()
        changed[:, chosen] = shift(rows[:, chosen], scale[chosen], generator)
        for name, channels in detectors.found(times, changed).items():
            hits = len(channels & {*chosen.tolist()})
            counts.setdefault(name, []).append((hits / CHANGED, len(channels) - hits))
    return {
        name: (float(np.mean([c[0] for c in found])), float(np.mean([c[1] for c in found])))
        for name, found in counts.items()
    }


def _row(*cells: object) -> None:
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def main() -> None:
    """Print both tables as Markdown."""
    known = [(autoregressive(c), (1.0, 7.0)) for c in (0.0, 0.9, 0.99)] + [(example(), (1.0, 7.0, 30.0))]
    prepared = [(telemetry, lengths, Detectors(telemetry)) for telemetry, lengths in known]
    _row("telemetry", "days", "check_drift", "PSI", "KS", "PSI and KS")
    for telemetry, lengths, detectors in prepared:
        for days in lengths:
            found = false_alarms(detectors, telemetry, days)
            _row(telemetry.name, f"{days:g}", *(f"{_percent(a)} ({_percent(b)})" for a, b in found.values()))
    _row("telemetry", "days", "shift", "check_drift", "PSI", "KS", "PSI and KS")
    for telemetry, lengths, detectors in prepared:
        scale = np.nanstd(telemetry.reference, axis=0)
        for days in lengths[1:]:
            for name, shift in SHIFTS.items():
                found = power(detectors, telemetry.windows(days, WINDOWS_WITH_SHIFT), shift, scale)
                _row(telemetry.name, f"{days:g}", name, *(f"{_percent(a)} ({b:.2g})" for a, b in found.values()))


if __name__ == "__main__":
    main()
