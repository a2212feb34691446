"""The output of `query_model`: a progress bar, tables of answers and alarms, and a summary."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from typing import TextIO

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from container_component_src.alarms.alarm import Alarm
from container_component_src.serving.client.query import Answered, counted
from container_component_src.steps.serving import QueryModel

_WIDTH = 120
_CHANNELS = 3  # that the table of alarms names


@contextmanager
def progress(stream: TextIO) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar if the stream is a terminal; yield a function of the rows done and the rows in all."""
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), disable=not stream.isatty(), transient=True) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Summary:
    """Collects what is printed of the answers.

    Args:
        query: Arguments that say what is printed.
    """

    def __init__(self, query: QueryModel) -> None:
        self._query = query
        self._shown: list[pd.DataFrame] = []
        self._rows = self._wanted = self._above = self._read = 0
        self._version = self._threshold = ""
        self._missing: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()
        self._alarms: list[Alarm] | None = None

    @property
    def alarms(self) -> Sequence[Alarm]:
        """All alarms, in order of time; none if they could not be found."""
        return self._alarms or ()

    def add(self, batch: Answered) -> None:
        """Add the answers to a batch."""
        table = batch.table
        self._read = batch.rows_read
        self._missing.update(batch.missing)
        if batch.alarms is not None:
            self._alarms = self._alarms or []
            self._alarms += batch.alarms
        if table.empty:
            return
        self._version = batch.version
        if "threshold" in table:  # the same for all rows
            self._threshold = f", threshold {table['threshold'].iloc[0]:.4g} nats"
        self._above += int(table["alarm"].sum()) if "alarm" in table else 0
        self._dead.update(chain.from_iterable(table.get("dead_channels", ())))
        table.index = pd.RangeIndex(self._rows, self._rows + len(table))
        self._rows += len(table)
        wanted = table[table["alarm"]] if self._query.alarms_only else table
        room = self._query.rows - self._wanted
        self._wanted += len(wanted)
        if room > 0 and len(wanted):
            self._shown.append(wanted.head(room))

    def text(self) -> str:
        """Return tables of the first rows, unless they are in a file, and of the first alarms, and a line about all."""
        parts = [] if self._query.output else [*self._row_table(), _hidden(self._wanted, self._query.rows, "row")]
        parts += [*self._alarm_table(), _hidden(len(self.alarms), self._query.rows, "alarm")]
        return "\n".join([*filter(None, parts), self._line()])

    def _line(self) -> str:
        """Return one line about all rows, which names the files that they and the alarms are written to."""
        left_out = self._read - self._rows
        skipped = f", {left_out:,} rows not scored because a value is missing" if left_out else ""
        if self._missing:
            skipped += f" ({counted(self._missing)})" if left_out else f", imputed: {counted(self._missing)}"
        above = f", {self._above:,} rows above the alarm threshold" if self._threshold else ""
        dead = f" or with a dead channel ({counted(self._dead)})" if self._dead else ""
        found = "no alarms without timestamps" if self._alarms is None else _counted(len(self._alarms), "alarm")
        model = f"model version {self._version[:12]}{self._threshold}"
        files = ", ".join(filter(None, (self._query.output, self._query.alarms)))
        written = f"; written: {files}" if files else ""
        return f"{self._rows:,} rows{skipped}{above}{dead}{f', {found}' if above else ''}, {model}{written}"

    def _row_table(self) -> Iterator[str]:
        if not self._shown:
            return
        frame = pd.concat(self._shown)
        columns = {"row": [str(index) for index in frame.index]}
        for name in frame.columns.drop("threshold", errors="ignore"):
            if frame[name].map(pd.api.types.is_scalar).all():
                columns[name] = [_text(value) for value in frame[name]]
        if "top_channel" in frame:
            firsts = zip(frame["top_channel"], frame["top_share"], strict=True)
            columns["contributing most (share)"] = [f"{names[0]} ({shares[0]:.0%})" for names, shares in firsts]
        for header in ("imputed", "dead"):
            if (name := f"{header}_channels") in frame:
                columns[header] = [", ".join(names) for names in frame[name]]
        table = Table()
        for name in columns:
            table.add_column(name, no_wrap=name == self._query.timestamp_col, overflow="fold")
        for row in zip(*columns.values(), strict=True):
            table.add_row(*row)
        yield _printed(table)

    def _alarm_table(self) -> Iterator[str]:
        if not self._alarms:
            return
        table = Table("alarm from", "for", "peak (nats)", "subsystem", "contributing most at the peak (share)")
        for alarm in self._alarms[: self._query.rows]:
            channels = ", ".join(f"{item.channel} ({item.share:.0%})" for item in alarm.channels[:_CHANNELS])
            start = _text(pd.Timestamp(alarm.start, tz="UTC"))
            duration = _short(timedelta(milliseconds=(alarm.end - alarm.start) // 10**6))
            table.add_row(start, duration, _text(alarm.peak_score), alarm.subsystem, channels)
        yield _printed(table)


def _printed(table: Table) -> str:
    stream = io.StringIO()
    Console(file=stream, width=_WIDTH).print(table)
    return stream.getvalue().rstrip("\n")


def _hidden(known: int, shown: int, what: str) -> str:
    """Return how many rows or alarms the table above does not show."""
    hidden = known - shown
    return f"{_counted(hidden, f'more {what}')} not shown (--rows)" if hidden > 0 else ""


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{_short(value.replace(tzinfo=None).isoformat())}Z"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(time: object) -> str:
    """Return a time or a duration without zeros at the end of its fraction."""
    text = str(time)
    return text.rstrip("0") if "." in text else text
