"""Specification of the example data: sizes, years and seed."""

from dataclasses import dataclass

from container_component_src.errors import InputError
from container_component_src.example_data.channels import MAX_CHANNELS
from container_component_src.steps.maintenance import EXAMPLE_CHANNELS, EXAMPLE_EVENTS, EXAMPLE_ROWS

MIN_ARCHIVE_ROWS = 200
MIN_ROWS_PER_ANOMALY = 25  # an event has at most 40 % of the rows reserved for it, and at least 6


@dataclass(frozen=True)
class ExampleDataSpec:
    """Size and seed of the example data.

    Attributes:
        seed: Seed of all random streams, 0 or more.
        rows: Exact number of rows of all archives, distributed evenly over the years.
        channels: Number of float columns. The first 44 are the catalogue, and further ones repeat it for racks 2, 3 and
            so on. With fewer than 44, some anomalies may not be visible in any channel.
        years: Calendar years, one archive each, in any order.
        anomalies: Reported events of all archives, distributed evenly over them; 0: the same data without faults.
        row_group_rows: Rows per parquet row group; the values do not depend on it.
    """

    seed: int = 42
    rows: int = EXAMPLE_ROWS
    channels: int = EXAMPLE_CHANNELS
    years: tuple[int, ...] = (2022, 2023)
    anomalies: int = EXAMPLE_EVENTS
    row_group_rows: int = 50_000

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: A value is out of range, or there are too few rows for the years or the anomalies.
        """
        if not self.years or len(set(self.years)) != len(self.years):
            raise InputError(
                f"years {self.years}: none, or one is repeated", fix="name at least one year, and each only once"
            )
        _require_range("seed", self.seed, 0, 2**63 - 1)
        _require_range("channels", self.channels, 1, MAX_CHANNELS)
        _require_range("anomalies", self.anomalies, 0, None)
        _require_range("row_group_rows", self.row_group_rows, 1, None)
        for year in self.years:
            _require_range("years", year, 1970, 2200)
        most_anomalies = -(-self.anomalies // len(self.years))
        needed = len(self.years) * max(MIN_ARCHIVE_ROWS, most_anomalies * MIN_ROWS_PER_ANOMALY)
        if self.rows < needed:
            raise InputError(
                f"rows {self.rows}: {len(self.years)} archives with {self.anomalies} anomalies need {needed}",
                fix="increase rows, or request fewer anomalies or years",
            )

    def share(self, total: int, position: int) -> int:
        """Return the part of `total` for the archive at a position in the sorted years."""
        whole, rest = divmod(total, len(self.years))
        return whole + (position < rest)


def _require_range(name: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        wanted = f"{low} or more" if high is None else f"{low} to {high}"
        raise InputError(f"{name} {value}: out of range", fix=f"give {wanted}")
