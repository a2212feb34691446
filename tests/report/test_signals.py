"""Signals of the events, in the units of the archives."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.event_result import Expectation, ExpectedChannel
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo, ChannelStatistics, open_info
from container_component_src.report.series import Window, event_windows
from container_component_src.report.signals import Signal, read_signals
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.scaler import Scaler
from tests.evaluation.cases import CHANNELS, ROWS, SECOND, START, Case, anomalous_frame, write_case, write_dataset

SCALER = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=(1000.0, 20.0, 5.0), scale=(10.0, 2.0, 0.5))


def evaluated(case: Case) -> tuple[EvaluationResult, BundleInfo, tuple[Window, ...]]:
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    return result, open_info(case.bundle), event_windows(result)


def fan_of(signals: tuple[Signal, ...]) -> Signal:
    return next(signal for signal in signals if signal.channel == "fan")


@pytest.mark.parametrize("cuts", [(), (120, 305), (1, 2, 399)])
def test_values_match_the_test_data(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    case = write_case(tmp_path, cuts)
    result, info, windows = evaluated(case)
    signals = read_signals(Dataset.open(case.test), result, windows, info)
    assert [[signal.channel for signal in of_event] for of_event in signals] == [["fan"], ["pressure"]]
    fan = fan_of(signals[0])
    assert signals[0][0] == fan  # the most abnormal channel is first
    assert fan.excess == result.events[0].top_channels[0].excess
    rows = (fan.line.timestamps - START) // SECOND
    values = anomalous_frame()[0].values[:, 2]
    np.testing.assert_array_equal(fan.line.values, values[rows])
    inside = (rows >= 100) & (rows < 140)
    assert fan.line.values[inside].max() == values[100:140].max()


def test_missing_values_are_omitted(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info, windows = evaluated(case)
    frame, events = anomalous_frame()
    frame.values[100:110, 2] = np.nan
    write_dataset(Path(case.test), frame, (), events)
    fan = fan_of(read_signals(Dataset.open(case.test), result, windows, info)[0])
    rows = (fan.line.timestamps - START) // SECOND
    assert np.isnan(fan.line.values).sum() == 1  # the break of the line
    assert not ((rows >= 100) & (rows < 110)).any()


def test_training_ranges_are_in_the_units_of_the_archives(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info, windows = evaluated(case)
    statistics = ChannelStatistics(mean=0.0, std=1.0, quantiles={"0.01": -2.0, "0.99": 3.0})
    known = info.model_copy(update={"scaler": SCALER, "channel_statistics": {"fan": statistics}})
    first, _ = read_signals(Dataset.open(case.test), result, windows, known)
    assert [signal.training_range for signal in first] == [(4.0, 6.5)]


def test_expected_values_are_those_of_the_window_with_breaks_at_gaps(tmp_path: Path) -> None:
    result, info, _ = evaluated(write_case(tmp_path))
    seconds = [0, 150, 151, 152, 200, 999]
    fan = ExpectedChannel(channel="fan", low=(1, 2, 3, 4, 5, 6), high=(1, 2, 4, 4, 5, 6))
    expectation = Expectation(timestamps=tuple(START + second * SECOND for second in seconds), channels=(fan,))
    known = result.events[0].model_copy(update={"expected": expectation})
    (shown,) = [Window(START + 100 * SECOND, START + 300 * SECOND, SECOND, 300)]
    test = Dataset.open(str(tmp_path / "test"))
    ((signal,),) = read_signals(test, result.model_copy(update={"events": (known,)}), [shown], info)
    assert ((signal.expected.timestamps - START) // SECOND).tolist() == [150, 151, 152, 200]
    np.testing.assert_array_equal(signal.expected.values, [[2, 2], [3, 4], [4, 4], [5, 5]])
    dense = expectation.model_copy(
        update={"timestamps": tuple(START + s * SECOND for s in (150, 151, 152, 153, 200, 201))}
    )
    known = known.model_copy(update={"expected": dense})
    ((signal,),) = read_signals(test, result.model_copy(update={"events": (known,)}), [shown], info)
    np.testing.assert_array_equal(signal.expected.values[3:6], [[4, 4], [np.nan, np.nan], [5, 5]])


def test_partitions_without_an_event_are_not_read(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info, _ = evaluated(case)
    windows = tuple(Window(event.start - SECOND, event.end + SECOND, SECOND, 300) for event in result.events)
    test = write_dataset(Path(case.test), anomalous_frame()[0], (99, 141, 290), anomalous_frame()[1])
    read: list[str] = []
    read_partition = Dataset.read

    def spy(dataset: Dataset, partition: Partition, channels: list[str] | None = None) -> Frame:
        read.append(partition.file)
        return read_partition(dataset, partition, channels)

    with patch.object(Dataset, "read", spy):
        read_signals(test, result, windows, info)
    assert read == [test.manifest.partitions[index].file for index in (1, 3)]


def test_rejects_scaled_data_and_other_channels(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info, windows = evaluated(case)
    test = Dataset.open(case.test)
    scaled = Dataset(test.location, test.manifest.model_copy(update={"scaler": SCALER}))
    with pytest.raises(InputError, match="the test data is scaled; name the test dataset of the split"):
        read_signals(scaled, result, windows, info)
    other = Dataset(test.location, test.manifest.model_copy(update={"channels": CHANNELS[:2]}))
    with pytest.raises(InputError, match="no channel 'fan'"):
        read_signals(other, result, windows, info)
    assert test.manifest.rows == ROWS
