"""The alarm rule of a model in words: what it is, how it was found, and whether it still fits."""

from container_component_src.alarms.calibration import ExpectedRate
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import Calibration
from container_component_src.report.text import duration, integer, rate, short_number
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND

_SECONDS_PER_DAY = NANOSECONDS_PER_DAY // NANOSECONDS_PER_SECOND


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
    target = settings.target_false_alarms_per_day
    aim = f"for {short_number(target)} false alarms a day" if target else f"quantile {settings.alarm_quantile:g}"
    length = duration(calibration.days * _SECONDS_PER_DAY)
    return (
        f"The alarm threshold was found without labels, on {length} of calibration data ({integer(calibration.rows)} "
        f"rows) that the model was not trained on: {calibration.method}, {aim}."
    )


def expectation_in_words(calibration: Calibration, result: EvaluationResult) -> str:
    """Return the expected and the observed false alarms a day, and whether they disagree."""
    expected, observed = calibration.false_alarms_per_day, result.calibrated.false_alarms_per_day
    if expected is None:
        return "The calibration data covers no time, so it is not known how many false alarms a day to expect."
    text = f"In normal operation, {expected_rate(expected)} false alarms a day are expected"
    if observed is None:
        return f"{text}; the test data has no time outside events to compare them with."
    text = f"{text}, and the test data has {rate(observed)} outside events"
    if expected.low <= observed <= expected.high:
        return f"{text}, which agrees."
    side, sense = ("more", "higher") if observed > expected.high else ("fewer", "lower")
    return (
        f"{text}: {side} than expected. The scores have drifted: they are {sense} than those of the calibration data. "
        "Calibrate again on recent data."
    )


def expected_rate(expected: ExpectedRate | None) -> str:
    """Return an expected rate with its interval, or a dash."""
    return (
        rate(None) if expected is None else f"{rate(expected.estimate)} ({rate(expected.low)} to {rate(expected.high)})"
    )
