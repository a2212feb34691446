"""The output of `query_model`: a progress bar, a table of the answers and a summary."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TextIO

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from container_component_src.serving.client.query import Answered, counted

_WIDTH = 120


@contextmanager
def progress(stream: TextIO) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar if the stream is a terminal; yield a function of the rows done and the rows in all."""
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), disable=not stream.isatty(), transient=True) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Summary:
    """Collects the answers that are printed.

    Args:
        rows: Maximum number of rows of the table.
        alarms_only: Whether the table shows rows with an alarm only.
    """

    def __init__(self, rows: int, alarms_only: bool) -> None:
        self._alarms_only = alarms_only
        self._shown: list[pd.DataFrame] = []
        self._room = rows
        self._rows = self._alarms = self._read = 0
        self._version = self._threshold = ""
        self._missing: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()

    def add(self, batch: Answered) -> None:
        """Add the answers to a batch."""
        table = batch.table
        self._read = batch.rows_read
        self._missing.update(batch.missing)
        if table.empty:
            return
        self._version = batch.version
        if "threshold" in table:  # the same for all rows
            self._threshold = f", threshold {table['threshold'].iloc[0]:.4g} nats"
        self._alarms += int(table["alarm"].sum()) if "alarm" in table else 0
        self._dead.update(chain.from_iterable(table.get("dead_channels", ())))
        table.index = pd.RangeIndex(self._rows, self._rows + len(table))
        self._rows += len(table)
        wanted = table[table["alarm"]] if self._alarms_only else table
        if self._room > 0 and len(wanted):
            self._shown.append(wanted.head(self._room))
            self._room -= len(self._shown[-1])

    def line(self, output: str = "") -> str:
        """Return one line about all rows, which names the file they are written to."""
        left_out = self._read - self._rows
        skipped = f", {left_out:,} rows not scored because a value is missing" if left_out else ""
        if self._missing:
            skipped += f" ({counted(self._missing)})" if left_out else f", imputed: {counted(self._missing)}"
        dead = f" (dead: {counted(self._dead)})" if self._dead else ""
        written = f"; written: {output}" if output else ""
        model = f"model version {self._version[:12]}{self._threshold}"
        return f"{self._rows:,} rows{skipped}, {self._alarms:,} alarms{dead}, {model}{written}"

    def table(self) -> str:
        """Return a table of the first rows, and the line about all rows."""
        if not self._shown:
            return self.line()
        frame = pd.concat(self._shown)
        names = [
            name for name in frame.columns if name != "threshold" and frame[name].map(pd.api.types.is_scalar).all()
        ]
        table = Table("row", *names)
        if "top_channel" in frame:
            table.add_column("contributing most (share)")
        lists = [name for name in ("imputed_channels", "dead_channels") if name in frame]
        for name in lists:
            table.add_column(name)
        for index, row in frame.iterrows():
            cells = [str(index), *(_text(row[name]) for name in names)]
            if "top_channel" in frame:
                cells.append(f"{row['top_channel'][0]} ({row['top_share'][0]:.0%})")
            cells += [", ".join(row[name]) for name in lists]
            table.add_row(*cells)
        stream = io.StringIO()
        Console(file=stream, width=_WIDTH).print(table)
        return stream.getvalue() + self.line()


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return value.isoformat().replace("+00:00", "Z")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
