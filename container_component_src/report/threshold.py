"""The alarm rule of a model in words: what it is, how it was found, and whether it still fits."""

from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.evaluation.result import Drift, EvaluationResult, Interval
from container_component_src.model.bundle_info import Calibration
from container_component_src.report.text import duration, integer, short_number
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND

_SECONDS_PER_DAY = NANOSECONDS_PER_DAY // NANOSECONDS_PER_SECOND


def threshold_in_words(calibration: Calibration, result: EvaluationResult) -> tuple[str, str, str]:
    """Return what the alarm rule is, how its threshold was found, and whether it still fits."""
    fit = f"{expectation_in_words(result)} {shift_in_words(result)}"
    return rule_in_words(calibration), origin_in_words(calibration), fit


def rule_in_words(calibration: Calibration) -> str:
    """Return when an alarm starts, is raised and ends."""
    rule, settings = calibration.rule, calibration.settings
    clear = f"the clear threshold, {short_number(rule.clear_below)} nats,"
    words = [
        f"An alarm starts when the smoothed score exceeds the alarm threshold, {short_number(rule.raise_above)} nats, "
        f"and lasts while the score exceeds {clear if rule.clear_below < rule.raise_above else 'it'}"
        " and the data has no gap."
    ]
    if settings.min_alarm_steps > 1:
        words.append(f"It is raised once it has lasted {integer(settings.min_alarm_steps)} time steps.")
    if settings.merge_alarm_steps:
        words.append(f"Alarms that are at most {integer(settings.merge_alarm_steps)} time steps apart are one.")
    return " ".join(words)


def origin_in_words(calibration: Calibration) -> str:
    """Return how the alarm threshold was found, and on how much data."""
    settings = calibration.settings
    length = duration(calibration.days * _SECONDS_PER_DAY)
    words = [
        f"The alarm threshold was found without labels, on {length} of calibration data ({integer(calibration.rows)} "
        f"rows) that the model was not trained on: {calibration.method}."
    ]
    if settings.threshold_method == "robust_quantile" and not settings.target_false_alarms_per_day:
        words.append(
            "It is at least the quantile of nine in ten parts of the data, so that unreported anomalies matter little."
        )
    return " ".join(words)


def expectation_in_words(result: EvaluationResult) -> str:
    """Return the expected and the observed false alarms a day, and whether they disagree."""
    expected, observed = result.expected_false_alarms_per_day, result.calibrated.false_alarms_per_day
    if expected is None or observed is None or result.drift is Drift.UNKNOWN:
        missing = "calibration data covers no time" if expected is None else "test data has no time outside events"
        return f"The {missing}, so it is not known whether there are more false alarms than expected."
    interval = result.intervals.get("false_alarms_per_day")
    text = (
        f"In normal operation, {rate_text(expected.estimate, expected)} false alarms a day are expected. The test data "
        f"has {rate_text(observed, interval)} outside events"
    )
    if result.drift is Drift.NONE:
        return f"{text}, which agrees."
    return f"{text}: {result.drift.value} than expected. Calibrate again on recent data, or check what has changed."


def shift_in_words(result: EvaluationResult) -> str:
    """Return a sentence if the scores of normal operation have risen, otherwise ""."""
    if not result.scores_shifted:
        return ""
    return (
        "The scores have drifted: the median score of the normal test rows is above that of every part of the "
        "calibration data."
    )


def rate_text(value: float, interval: ExpectedRate | Interval | None) -> str:
    """Return a rate with its interval."""
    ends = f" (95 %: {short_number(interval.low)} to {short_number(interval.high)})" if interval else ""
    return short_number(value) + ends
