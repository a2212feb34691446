"""What `query_model` shows: a progress bar, and a table of the answers."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from container_component_src.serving.client.query import Answered

_WIDTH = 120


@contextmanager
def progress(stream: TextIO) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar, on a terminal only; the function given takes the rows done and those there are."""
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), disable=not stream.isatty(), transient=True) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Printed:
    """Gathers what is printed of the answers.

    Args:
        rows: Most rows of the table.
        alarms_only: Whether only rows with an alarm are wanted.
    """

    def __init__(self, rows: int, alarms_only: bool) -> None:
        self._most = rows
        self._alarms_only = alarms_only
        self._parts: list[pd.DataFrame] = []
        self._room = rows
        self._rows = self._alarms = self._read = 0
        self._version = self._threshold = ""

    def add(self, batch: Answered) -> None:
        """Take the answers of a batch."""
        table = batch.table
        self._read = batch.rows_read
        if table.empty:
            return
        self._version = batch.version
        if "threshold" in table:  # the same for all rows
            self._threshold = f", threshold {table['threshold'].iloc[0]:.4g} nats"
        self._alarms += int(table["alarm"].sum()) if "alarm" in table else 0
        table.index = pd.RangeIndex(self._rows, self._rows + len(table))
        self._rows += len(table)
        wanted = table[table["alarm"]] if self._alarms_only else table
        if self._room > 0 and len(wanted):
            self._parts.append(wanted.head(self._room))
            self._room -= len(self._parts[-1])

    def summary(self, output: str = "") -> str:
        """One line about all rows."""
        left_out = self._read - self._rows
        skipped = f", {left_out:,} rows not scored because a value is missing" if left_out else ""
        written = f"; written: {output}" if output else ""
        model = f"model version {self._version[:12]}{self._threshold}"
        return f"{self._rows:,} rows{skipped}, {self._alarms:,} alarms, {model}{written}"

    def table(self) -> str:
        """The first rows, and the summary."""
        if not self._parts:
            return self.summary()
        frame = pd.concat(self._parts)
        names = [
            name for name in frame.columns if name != "threshold" and frame[name].map(pd.api.types.is_scalar).all()
        ]
        table = Table("row", *names)
        if "top_channel" in frame:
            table.add_column("contributing most (share)")
        for index, row in frame.iterrows():
            cells = [str(index), *(_text(row[name]) for name in names)]
            if "top_channel" in frame:
                cells.append(f"{row['top_channel'][0]} ({row['top_share'][0]:.0%})")
            table.add_row(*cells)
        stream = io.StringIO()
        Console(file=stream, width=_WIDTH).print(table)
        return stream.getvalue() + self.summary()


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return value.isoformat().replace("+00:00", "Z")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
