"""Alarms of an evaluation, for tests of the report."""

from pathlib import Path

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import write_alarms
from container_component_src.alarms.tracker import AlarmState, Change, ChannelShare, find_alarms
from container_component_src.evaluation.result import SCORE_CHANNELS
from container_component_src.model.bundle_info import BundleInfo, open_info
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.events import Event
from tests.evaluation.cases import SECOND, START, Case

CHANNELS = (ChannelShare("fan", 0.7), ChannelShare("<i>pressure</i>", 0.3))


def alarm(
    info: BundleInfo, first: int, last: int, events: tuple[str, ...] | None = (), peak_score: float = 20.0
) -> Alarm:
    """Return an alarm from one second of the test data to another, with its peak at its end."""
    start, end = (START + second * SECOND for second in (first, last))
    source = info.alarm_source
    return Alarm(
        id=f"{first}-{info.version[:8]}", state=AlarmState.CLOSED, start=start, raised=start, end=end, peak=end,
        peak_score=peak_score, threshold=source.rule.raise_above, rows=last - first + 1, channels=CHANNELS,
        subsystem="ventilation", model_version=info.version, events=events,
    )  # fmt: skip


def write_case_alarms(case: Case) -> Path:
    """Write the alarms of the scores of a case, as the evaluation does."""
    info, scores = open_info(case.bundle), Dataset.open(str(case.out))
    frame = scores.load()
    spans, _ = find_alarms(
        frame.timestamps, frame.values[:, SCORE_CHANNELS.index("smoothed_score")], info.calibrated.rule
    )
    alarms = [info.alarm_source.alarm(Change(AlarmState.CLOSED, span)) for span in spans]
    known = [each.model_copy(update={"events": _overlapped(each, scores.manifest.events)}) for each in alarms]
    path = case.out.parent / "alarms.ndjson"
    write_alarms(str(path), known)
    return path


def _overlapped(each: Alarm, events: tuple[Event, ...]) -> tuple[str, ...]:
    return tuple(event.id for event in events if event.start <= each.end and each.start < event.end)
