"""What to generate: sizes, years and seed, checked at construction."""

from dataclasses import dataclass

from container_component_src.errors import InputError
from container_component_src.example_data.channels import MAX_CHANNELS

MIN_ARCHIVE_ROWS = 200
MIN_ROWS_PER_ANOMALY = 25  # an event covers at most 40 % of the rows allotted to it, and at least 6


@dataclass(frozen=True)
class ExampleDataSpec:
    """Size and seed of the example data.

    Attributes:
        seed: Start of every random stream, 0 or more.
        rows: Rows over all archives, met exactly; years share them evenly.
        channels: Float columns. The first 44 are the named catalogue, further ones repeat it for racks 2, 3 and so on;
            with fewer than 44 the last of the catalogue are left out, and an anomaly may show in none of those kept.
        years: Calendar years, one archive each, in any order.
        anomalies: Reported events over all archives, shared evenly; 0 gives the same data without faults.
        row_group_rows: Rows per parquet row group; it has no influence on the values.
    """

    seed: int = 42
    rows: int = 1_100_000
    channels: int = 44
    years: tuple[int, ...] = (2022, 2023)
    anomalies: int = 28
    row_group_rows: int = 50_000

    def __post_init__(self) -> None:
        """Refuse values that cannot be met.

        Raises:
            InputError: A value is out of range, or the rows are too few for the years or the anomalies.
        """
        if not self.years or len(set(self.years)) != len(self.years):
            raise InputError(f"years {self.years}: name at least one year, and each only once")
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
                f"rows {self.rows}: {len(self.years)} archives with {self.anomalies} anomalies need {needed}; "
                "raise rows, or ask for fewer anomalies or years"
            )

    def share(self, total: int, position: int) -> int:
        """Return how many of `total` things fall to the archive at `position` of the sorted years."""
        whole, rest = divmod(total, len(self.years))
        return whole + (position < rest)


def _require_range(name: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        wanted = f"{low} or more" if high is None else f"{low} to {high}"
        raise InputError(f"{name} {value}: out of range; give {wanted}")
