"""The calibration: when a trained model raises an alarm."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from container_component_src.errors import InputError
from container_component_src.steps.declaration import (
    Arguments,
    output_dataset,
    output_file,
    parameter,
    wired,
)
from container_component_src.steps.shared import DataRoot
from container_component_src.values import NonEmpty

TAIL_START = 0.98  # quantile of the scores at which the tail starts, for peaks_over_threshold
ThresholdMethod = Literal["robust_quantile", "quantile", "peaks_over_threshold"]
# A spreadsheet would take other names in a file of alarms for formulas.
Subsystem = Annotated[NonEmpty, Field(pattern=r"^[^=+\-@\t\r]")]
Subsystems = dict[NonEmpty, Subsystem]  # by the pattern of the names of their channels; the first that fits counts


class Smoothing(StrEnum):
    """How a score is combined with those before it."""

    NONE = "none"
    MEAN = "mean"  # of the scores in the window
    MEDIAN = "median"  # of the scores in the window
    EXPONENTIAL = "exponential"  # mean of all scores, with weights that fall by the factor (window - 1) / (window + 1)


class AlarmSettings(Arguments):
    """How alarms follow from scores."""

    smoothing: Smoothing = parameter(
        "How the score of a time step is combined with those before it: not at all, by their mean or median, or by a "
        "mean in which older scores count exponentially less.",
        Smoothing.EXPONENTIAL,
    )
    smoothing_window: int = parameter("Time steps of the smoothing; 1 for none.", 3, ge=1)
    alarm_quantile: float = parameter(
        "Quantile of the calibration scores that becomes the alarm threshold.", 0.98, gt=0, lt=1
    )
    threshold_method: ThresholdMethod = parameter(
        "How the quantile is found: as the value that it does not exceed in nine of ten parts of the calibration data, "
        "so that anomalies which nobody reported matter little; among all scores; or from a distribution fitted to the "
        "highest 2 % of them, which may yield a threshold beyond the highest score.",
        "robust_quantile",
    )
    target_false_alarms_per_day: float = parameter(
        "False alarms a day to expect in normal operation, from which the alarm threshold follows. 0: alarm_quantile "
        "decides.",
        0.0,
        ge=0,
    )
    clear_fraction: float = parameter(
        "Where an alarm ends, between the median of the calibration scores, 0, and the alarm threshold, 1.",
        0.9,
        ge=0,
        le=1,
    )
    min_alarm_steps: int = parameter("Time steps that an alarm must last before it is raised.", 1, ge=1)
    merge_alarm_steps: int = parameter("Time steps between two alarms up to which they are one; 0: none.", 30, ge=0)

    @model_validator(mode="after")
    def _threshold_is_in_the_tail(self) -> Self:
        if self.threshold_method == "peaks_over_threshold" and self.alarm_quantile <= TAIL_START:
            raise InputError(
                f"--alarm-quantile {self.alarm_quantile} is not above {TAIL_START}, where the tail starts that "
                "--threshold-method peaks_over_threshold fits",
                fix="raise it, or use the method quantile",
            )
        return self


class Calibrate(AlarmSettings, DataRoot):
    """Arguments of `calibrate`."""

    command: ClassVar[str] = "calibrate"

    bundle_path: NonEmpty = wired("The trained model bundle.")
    calibration_df_path: NonEmpty = wired("Scaled calibration set, on which the model was not trained.")
    subsystems: Subsystems = parameter(
        "Subsystem of the channels whose names fit a pattern, as a JSON object of patterns and names, such as "
        '{"cabin_*": "atmosphere"}; the first pattern that fits counts.',
        {},
    )
    impute_missing: bool = parameter(
        "Whether servers of the model score a missing value as the centre of its channel, as the training does, "
        "instead of refusing the request; a request may choose for itself.",
        False,
    )
    calibrated_model_path: str = output_dataset("Folder of the calibrated bundle.", "calibrated_model", "Model")
    model_copy_path: str = output_file(
        "With a data root: folder of a copy of the bundle, for the pipeline's own store.",
        "calibrated_model",
        "Model",
        "",
    )
