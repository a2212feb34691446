from pathlib import Path

from container_component_src.alarms.tracker import AlarmState
from container_component_src.console.alarm_log import AlarmLog, NewAlarms
from container_component_src.console.growing_file import GrowingFile
from container_component_src.storage import resolve
from tests.console.consoles import alarm, append


def test_last_event_of_an_alarm_counts(tmp_path: Path) -> None:
    path = tmp_path / "alarms.ndjson"
    log = AlarmLog(GrowingFile(resolve(str(path))))
    first, longer = alarm(0, AlarmState.OPENED, 10), alarm(0, AlarmState.UPDATED, 20)
    append(path, first, alarm(1), longer)
    assert log.poll() == NewAlarms({first.id: longer, alarm(1).id: alarm(1)}, restarted=False)
    append(path, alarm(0))
    assert log.poll() == NewAlarms({first.id: alarm(0)}, restarted=False)


def test_lines_that_are_no_alarms_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "alarms.ndjson"
    path.write_bytes(b'{"id": 1}\nnot JSON\n\xff\n\n')
    append(path, alarm(0))
    log = AlarmLog(GrowingFile(resolve(str(path))))
    assert log.poll().alarms == {alarm(0).id: alarm(0)}
    assert log.unreadable == 3
    path.write_text("")
    append(path, alarm(1))
    assert log.poll() == NewAlarms({alarm(1).id: alarm(1)}, restarted=True)
    assert log.unreadable == 0
