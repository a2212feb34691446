"""What the benchmark finds out, and what is computed from it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

LEAST_SECONDS = 0.1  # shorter times say nothing about how time grows


@dataclass(frozen=True)
class StageResult:
    """One stage at one size; times are medians over the repeats."""

    stage: str
    rows: int  # of the generated telemetry
    repeats: int
    seconds: float  # of the whole command, or commands
    startup_seconds: float  # of the same on tiny data: interpreter, imports and what else does not depend on rows
    tree_bytes: int  # peak memory of all its processes together
    process_bytes: int  # peak memory of its largest process
    foreign_cores: float  # that all other processes of the machine kept busy meanwhile, on average
    floor: dict[str, float]  # seconds of what the stage cannot do without, part by part

    @property
    def net_seconds(self) -> float:
        """Seconds beyond the start-up, at least 0."""
        return max(0.0, self.seconds - self.startup_seconds)

    @property
    def floor_seconds(self) -> float:
        """Seconds of all parts of the floor."""
        return sum(self.floor.values())

    @property
    def rows_per_second(self) -> float:
        """Generated rows by seconds of the whole command."""
        return self.rows / self.seconds

    @property
    def raw_ratio(self) -> float | None:
        """Seconds by those of the floor; None without a floor."""
        return ratio(self.seconds, self.floor_seconds)

    @property
    def net_ratio(self) -> float | None:
        """Seconds beyond the start-up by those of the floor; None without a floor."""
        return ratio(self.net_seconds, self.floor_seconds)


@dataclass(frozen=True)
class Detail:
    """One measurement inside a process, without its start."""

    name: str
    rows: int
    value: float
    unit: str


@dataclass(frozen=True)
class Growth:
    """How a stage grows with the rows."""

    stage: str
    exponent: float | None  # of time beyond the start-up over rows
    memory: float | None  # peak memory of all processes at the most rows, by that at the next fewer


@dataclass
class Results:
    """All of one run."""

    date: str
    machine: dict[str, str | int | float]
    options: dict[str, int]
    stages: list[StageResult] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)

    def growth(self) -> list[Growth]:
        """How each stage grows, in the order of the stages."""
        names = dict.fromkeys(result.stage for result in self.stages)
        return [growth_of([result for result in self.stages if result.stage == name]) for name in names]

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        stages = [
            {
                **asdict(result),
                "floor_seconds": result.floor_seconds,
                "rows_per_second": result.rows_per_second,
                "raw_ratio": result.raw_ratio,
                "net_ratio": result.net_ratio,
            }
            for result in self.stages
        ]
        growth = [asdict(item) for item in self.growth()]
        content = {**asdict(self), "stages": stages, "growth": growth}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def ratio(seconds: float, floor: float) -> float | None:
    """Seconds by seconds of a floor; None where the floor is nothing."""
    return seconds / floor if floor > 0 else None


def growth_of(results: Sequence[StageResult]) -> Growth:
    """How one stage grows; of at least one result, one for each number of rows."""
    by_rows = sorted(results, key=lambda result: result.rows)
    rows, seconds = [result.rows for result in by_rows], [result.net_seconds for result in by_rows]
    memory = by_rows[-1].tree_bytes / by_rows[-2].tree_bytes if len(by_rows) > 1 else None
    return Growth(by_rows[0].stage, exponent(rows, seconds), memory)


def exponent(rows: Sequence[int], seconds: Sequence[float]) -> float | None:
    """The power of the rows with which time grows: slope of a least squares line through the logarithms.

    Args:
        rows: Different sizes.
        seconds: Time at each; sizes at which it is too short to tell are left out.

    Returns:
        The exponent, or None where fewer than two sizes are left.
    """
    told = [(size, time) for size, time in zip(rows, seconds, strict=True) if time >= LEAST_SECONDS]
    if len(told) < 2:
        return None
    sizes, times = np.log(np.array(told, dtype=np.float64)).T
    return float(np.polyfit(sizes, times, 1)[0])
