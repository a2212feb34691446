"""Result of an evaluation, stored as a JSON file; undefined numbers are null, never NaN."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from container_component_src import storage
from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.evaluation.event_result import EventResult, RareNominalEvent
from container_component_src.evaluation.numbers import Finite, Floats, Fraction
from container_component_src.steps.calibration import Smoothing
from container_component_src.values import Frozen

SCORE_CHANNELS = ("score", "smoothed_score")  # columns of the dataset of scores, in nats

# Those of `ThresholdMetrics` that the pipeline shows for the model's alarms, and that have an interval.
ALARM_METRICS = (
    *("composite_f1", "event_f05", "event_recall", "alarm_precision", "alarms_per_day", "false_alarms_per_day"),
    *("redundancy", "median_detection_delay_s", "p90_detection_delay_s"),
)


class Drift(StrEnum):
    """Whether the rate of false alarms on the test data is what the calibration leads to expect."""

    NONE = "none"  # the intervals of the expected and of the observed rate overlap
    MORE = "more"  # false alarms than expected
    FEWER = "fewer"
    UNKNOWN = "unknown"  # one of the rates is unknown


class OperatorMetrics(Frozen):
    """Metrics of alarms as operators see them; see `operator_metrics` and `affiliation`.

    An alarm is false if it overlaps no event. An event is detected if it overlaps at least one alarm. Rare nominal
    events are kept apart: only the last two numbers count them, their rows and the alarms that overlap nothing else.
    """

    alarms: int
    alarms_per_day: Finite | None  # per observed day; None if the data covers no time
    false_alarms: int
    false_alarms_per_day: Finite | None  # per day observed outside events
    alarm_precision: Fraction | None  # share of the alarms that overlap an event; None if there is no alarm
    redundancy: Finite | None  # alarms per detected event; None if no event is detected
    events_detected: int
    event_recall: Fraction  # share of the events that are detected
    median_detection_delay_s: Finite | None  # from the start of an event until its first alarm is raised
    p90_detection_delay_s: Finite | None  # 90th percentile
    event_precision: Fraction | None  # corrected for the time in alarm; None if there is no alarm
    event_f05: Fraction  # F0.5 of the corrected event precision and the event recall
    alarming_precision: Fraction | None  # detected events by the alarms in them; None if no event is detected
    timing_quality: Fraction | None  # over the detected events; None if there are none
    affiliation_precision: Fraction | None  # None if there is no alarm
    affiliation_recall: Fraction
    rare_nominal_alarms: int = 0  # that overlap rare nominal events alone
    rare_nominal_events_alarmed: int = 0  # that overlap an alarm of any kind


class ThresholdMetrics(OperatorMetrics):
    """Metrics of the alarms of one rule; a row is in alarm if it is part of an alarm that has been raised."""

    threshold: Finite  # nats; above it, an alarm starts
    clear_threshold: Finite  # nats; at or below it, an alarm ends
    true_positives: int  # rows
    false_positives: int  # rows
    false_negatives: int  # rows
    true_negatives: int  # rows
    precision: Fraction | None  # None if there is no alarm
    recall: Fraction
    f1: Fraction
    composite_f1: Fraction  # harmonic mean of precision and event recall; 0 if there is no alarm


class RocCurve(Frozen):
    """Receiver operating characteristic, from no alarm to all rows in alarm."""

    threshold: Floats
    false_positive_rate: Floats
    recall: Floats


class PrCurve(Frozen):
    """Precision-recall curve, from few alarms to all rows in alarm."""

    threshold: Floats
    recall: Floats
    precision: Floats


class ThresholdCurve(Frozen):
    """Metrics over ascending thresholds."""

    threshold: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    event_recall: Floats
    composite_f1: Floats


class RootCause(Frozen):
    """How well channels are named as causes: means over the events whose reports name theirs."""

    events: int
    hit_rate_100: Fraction  # share of the causes among as many channels with the largest excess
    hit_rate_150: Fraction  # among half as many more
    channel_precision: Fraction  # of the channels in alarm; 0 for events that are not detected
    channel_recall: Fraction
    channel_f05: Fraction


class Departures(Frozen):
    """Rows in which a channel departs from its constant by more than its resolution."""

    rows: int
    first: int | None  # nanoseconds since 1970 UTC; None if there are none


class ConstantChannel(Frozen):
    """A channel that is constant in the training data, and where it moved."""

    channel: str
    constant: Finite  # engineering units
    resolution: Finite  # engineering units
    calibration: Departures
    test: Departures


class Interval(Frozen):
    """95 % confidence interval of a metric."""

    low: Finite
    high: Finite


class BaselineResult(Frozen):
    """Metrics of a baseline that was fitted, smoothed and calibrated on the same rows and like the model."""

    name: str
    calibrated: ThresholdMetrics
    best: ThresholdMetrics
    roc_auc: Fraction
    pr_auc: Fraction
    vus_roc: Fraction
    vus_pr: Fraction
    advantage: dict[str, Interval]  # model minus baseline in `roc_auc` and `pr_auc`; empty if there is one event
    intervals: dict[str, Interval] = Field(default_factory=dict)  # by metric, as those of the model
    roc: RocCurve
    pr: PrCurve


class Quantiles(Frozen):
    """Quantiles of smoothed scores."""

    level: Floats
    calibration: Floats
    test_normal: Floats
    test_anomalous: Floats


class Counts(Frozen):
    """Size and time range of the evaluated data."""

    calibration_rows: int
    test_rows: int  # that metrics are taken from
    anomalous_rows: int
    events: int
    channels: int
    observed_days: Finite  # of these rows, without gaps
    start: int  # first test row, nanoseconds since 1970 UTC
    end: int  # last test row
    rare_nominal_rows: int = 0  # of the test data, beside `test_rows`


class EvaluationResult(Frozen):
    """Result of `run_evaluation`.

    `best` has a single threshold, the one whose rows above it give the highest composite F1 on the test labels: an
    upper bound for rules with one level, which no calibration can know.
    """

    run_id: str = ""  # of the run that evaluated the model; empty if the step was run by hand
    bundle_digest: str  # version of the calibrated bundle
    scores_uri: str
    seed: int  # training seed
    smoothing: Smoothing
    smoothing_window: int  # steps
    calibrated: ThresholdMetrics  # rule from the calibration scores alone: the deployed one
    best: ThresholdMetrics
    expected_false_alarms_per_day: ExpectedRate | None  # by the calibration; None if it is unknown
    drift: Drift  # of the rate of false alarms, between calibration and test data
    scores_shifted: bool  # whether normal test rows have a median score above that of every part of the calibration set
    roc_auc: Fraction
    pr_auc: Fraction  # average precision
    vus_roc: Fraction  # volumes under the surfaces of curves that tolerate alarms close to an event
    vus_pr: Fraction
    vus_rows: int  # widest buffer: the median number of rows of an event
    counts: Counts
    quantiles: Quantiles
    roc: RocCurve
    pr: PrCurve
    threshold_curve: ThresholdCurve
    events: tuple[EventResult, ...]  # by start
    rare_nominal: tuple[RareNominalEvent, ...] = ()  # by start
    constant_channels: tuple[ConstantChannel, ...]  # in the order of the data
    root_cause: RootCause | None  # None if no report names causes
    intervals: dict[str, Interval]  # by metric, of the calibrated rule; those of rates alone if there is one event
    baselines: tuple[BaselineResult, ...]  # empty if no training data was given

    @property
    def moved_channels(self) -> tuple[str, ...]:
        """Names of the constant channels that move in the calibration or test data."""
        return tuple(item.channel for item in self.constant_channels if item.calibration.rows or item.test.rows)

    def scalars(self) -> dict[str, float]:
        """Return the defined metrics by name."""
        areas = ("roc_auc", "pr_auc", "vus_roc", "vus_pr")
        values: dict[str, Any] = {name: getattr(self, name) for name in areas}
        for name, metrics in (("calibrated", self.calibrated), ("best", self.best)):
            values |= {f"{name}_{key}": value for key, value in metrics.model_dump().items()}
        for name, interval in self.intervals.items():
            metric = name if name in (*areas, *ALARM_METRICS) else f"calibrated_{name}"
            values |= _ends(metric, interval)
        for baseline in self.baselines:
            values |= {f"{baseline.name}_{name}": getattr(baseline, name) for name in areas}
            name = f"{baseline.name}_composite_f1"
            values[name] = baseline.calibrated.composite_f1
            values |= _ends(name, baseline.intervals.get("composite_f1"))
        values |= self.root_cause.model_dump(exclude={"events"}) if self.root_cause else {}
        values["constant_channels"] = len(self.constant_channels)
        values["moved_constant_channels"] = len(self.moved_channels)
        values["rare_nominal_events"] = len(self.rare_nominal)
        values |= {name: getattr(self.calibrated, name) for name in ALARM_METRICS}
        if expected := self.expected_false_alarms_per_day:
            name = "expected_false_alarms_per_day"
            values |= {name: expected.estimate, **_ends(name, expected)}
        return {key: float(value) for key, value in values.items() if value is not None}

    def write(self, uri: str) -> None:
        """Write the JSON file."""
        storage.resolve(uri).write_bytes(self.model_dump_json().encode())  # indented, it would be twice as large

    @classmethod
    def read(cls, uri: str) -> "EvaluationResult":
        """Read the JSON file.

        Raises:
            InputError: The file is missing or is not an evaluation.
        """
        return storage.read_document(uri, cls, "an evaluation", "run run_evaluation again")


def _ends(metric: str, interval: Interval | ExpectedRate | None) -> dict[str, float]:
    return {} if interval is None else {f"{metric}_low": interval.low, f"{metric}_high": interval.high}
