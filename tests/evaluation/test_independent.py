"""Metrics against an implementation by others on random data.

That of the volumes under the surface is not among the dependencies, because it needs TensorFlow, and that of the other
operators' metrics is in no package: see the recorded values in the tests of both.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from telemeval import score_adtqc, score_affiliation, score_channel_aware

from container_component_src.arrays import BoolArray
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.operator_metrics import operator_metrics
from container_component_src.evaluation.root_cause import channel_scores
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.runs import runs_of
from tests.evaluation.labelled_data import SECOND, above

NAMES = list("abcdef")
ROWS = 400


def random_case(seed: int) -> tuple[LabelledScores, BoolArray]:
    """Return one row a second with up to eight events that neither touch nor overlap, and with alarms near them."""
    random = np.random.default_rng(seed)
    bounds = np.sort(random.choice(np.arange(1, ROWS), 2 * int(random.integers(1, 9)), replace=False)).reshape(-1, 2)
    alarms = np.repeat(random.random(ROWS // 4) > random.random(), 4)
    events = [
        Event(
            id=f"A-{first:03}",
            start=first * SECOND,
            end=stop * SECOND,
            causes=tuple(random.choice(NAMES, int(random.integers(1, 5)), replace=False).tolist()),
        )
        for first, stop in bounds.tolist()
    ]
    labels = np.zeros(ROWS, dtype=np.int8)
    for first, stop in bounds:
        labels[first:stop] = 1
    return LabelledScores(np.arange(ROWS) * SECOND, alarms.astype(np.float32), labels, events), alarms


def table(events: list[Event]) -> pd.DataFrame:
    """Return events in the form of the other implementation, which end with their last row."""
    return pd.DataFrame(
        {
            "ID": [event.id for event in events],
            "StartTime": pd.to_datetime([event.start for event in events], utc=True),
            "EndTime": pd.to_datetime([event.end - 1 for event in events], utc=True),
        }
    )


def predictions(alarms: BoolArray) -> pd.DataFrame:
    return pd.DataFrame(
        {"Timestamp": pd.to_datetime(np.arange(ROWS) * SECOND, utc=True), "Score": alarms.astype(np.int64)}
    )


@pytest.mark.parametrize("seed", range(25))
def test_affiliation_and_timing(seed: int) -> None:
    data, alarms = random_case(seed)
    inputs: dict[str, Any] = {
        "global_labels": table(list(data.events_with_rows)),
        "global_predictions": predictions(alarms),
    }
    near, timing, metrics = score_affiliation(inputs), score_adtqc(inputs), operator_metrics(above(data, 0.5))
    assert metrics.affiliation_precision == pytest.approx(near["affiliation_precision"], abs=1e-6)
    assert metrics.affiliation_recall == pytest.approx(near["affiliation_recall"], abs=1e-6)
    assert metrics.timing_quality == pytest.approx(timing["adtqc_total"], abs=1e-6)


@pytest.mark.parametrize("seed", range(25))
def test_channels(seed: int) -> None:
    data, _ = random_case(seed)
    random = np.random.default_rng(seed)
    in_alarm = [set(np.array(NAMES)[random.random(len(NAMES)) > random.random()].tolist()) for _ in data.events]
    bounds = runs_of(~data.is_normal)
    channels = {}
    for name in NAMES:
        alarms = np.zeros(ROWS, dtype=bool)
        for (first, stop), named in zip(bounds, in_alarm, strict=True):
            alarms[first:stop] = name in named
        channels[name] = predictions(alarms)
    events = list(data.events_with_rows)
    labels = table([event for event in events for _ in event.causes])
    labels["Channel"] = [name for event in events for name in event.causes]
    expected = score_channel_aware(
        {"channel_labels": labels, "channel_predictions": channels, "target_channels": NAMES}
    )
    found = [channel_scores(named, event, events) for named, event in zip(in_alarm, events, strict=True)]
    keys = ("channel_precision", "channel_recall", "channel_fbeta")
    assert np.mean(found, axis=0).tolist() == pytest.approx([expected[key] for key in keys], abs=1e-6)
