"""Progress of a run: a live table on a terminal, otherwise one line per change."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.steps import StepRecord, StepState

_STYLES = {
    StepState.PENDING: "dim",
    StepState.RUNNING: "yellow",
    StepState.SUCCEEDED: "green",
    StepState.CACHED: "cyan",
    StepState.SKIPPED: "dim",
    StepState.FAILED: "bold red",
    StepState.INTERRUPTED: "magenta",
}
_DONE = {StepState.SUCCEEDED, StepState.CACHED, StepState.SKIPPED}
_FRAME_LINES = 6  # borders and header of the table, and the line for hidden steps


class Progress:
    """Display of the steps of a running pipeline.

    Args:
        console: Console for the output.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def changed(self, record: StepRecord) -> None:
        """Print a changed step, unless the live table shows it."""
        if not self._console.is_terminal:
            line = f"{time.strftime('%H:%M:%S')} {record.name}: {_state(record)}{_took(record)}"
            self._console.print(Text(line), soft_wrap=True)

    @contextlib.contextmanager
    def showing(self, records: Callable[[], Sequence[StepRecord]]) -> Iterator[None]:
        """Show a live table of the records on a terminal while the context lasts."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=lambda: step_table(records(), self._console.height - _FRAME_LINES),
            console=self._console,
            transient=True,
        ):
            yield


def step_table(records: Sequence[StepRecord], max_rows: int | None = None) -> Table:
    """Return a table of steps.

    Args:
        records: Steps in display order.
        max_rows: Maximum number of rows; a line with their number replaces the first steps that are done.

    Returns:
        Columns step, state, seconds and peak memory in MiB.
    """
    hidden = 0
    if max_rows is not None:
        excess = len(records) - max(max_rows, 1)
        done = [id(record) for record in records if record.state in _DONE][: max(excess, 0)]
        hidden = len(done)
        records = [record for record in records if id(record) not in done]
    table = Table("step", "state", show_edge=False, pad_edge=False)
    table.add_column("seconds", justify="right")
    table.add_column("peak MiB", justify="right")
    if hidden:
        table.add_row(Text(f"… {hidden} done", style="dim"))
    for record in records:
        timed = record.state is StepState.RUNNING or record.began is not None or record.log is not None
        table.add_row(
            Text(record.name),
            Text(_state(record), style=_STYLES[record.state], no_wrap=True, overflow="ellipsis"),
            f"{record.elapsed():.1f}" if timed else "",
            f"{record.peak_rss_mib:.0f}" if record.peak_rss_mib is not None else "",
        )
    return table


def _state(record: StepRecord) -> str:
    told = record.state is StepState.RUNNING and record.note
    return f"{record.state}: {record.note}" if told else record.state.value


def _took(record: StepRecord) -> str:
    if record.state is StepState.FAILED:
        return f" ({record.message})" if record.message else ""
    if record.state is StepState.CACHED and record.log is not None:
        return f" (took {record.seconds:.1f} s when it ran)"
    return f" ({record.seconds:.1f} s)" if record.state is StepState.SUCCEEDED else ""
