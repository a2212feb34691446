import json
from typing import Any

import pytest

from container_component_src.cli.calibrate import calibrate
from container_component_src.errors import InputError
from container_component_src.steps.calibration import TAIL_START, AlarmSettings, Calibrate
from container_component_src.steps.parameters import check_parameters
from container_component_src.steps.training import RunPyTorchJob, TrainingArguments
from container_component_src.steps.tuning import RunKatibExperiment
from container_component_src.values import validated

PATHS = {"bundle_path": "s3://b/model", "calibration_df_path": "s3://b/data", "calibrated_model_path": "s3://b/out"}
SUBSYSTEMS = {"z*": "last letter first", "fan_*": "ventilation", "*": "rest", "a*": "never"}


def test_a_quantile_below_the_tail_is_refused() -> None:
    values = {**PATHS, "threshold_method": "peaks_over_threshold"}
    for quantile in (0.95, TAIL_START):
        assert validated(Calibrate, {**values, "threshold_method": "quantile", "alarm_quantile": quantile})
        with pytest.raises(InputError, match=f"--alarm-quantile {quantile} is not above 0.98, .*peaks_over_threshold"):
            validated(Calibrate, {**values, "alarm_quantile": quantile})


@pytest.mark.parametrize("step", [TrainingArguments, RunPyTorchJob, RunKatibExperiment])
def test_a_training_knows_nothing_of_alarms(step: type[TrainingArguments]) -> None:
    assert not {*step.model_fields} & {*AlarmSettings.model_fields, "impute_missing", "subsystems"}


def test_patterns_keep_their_order_on_the_command_line() -> None:
    options = {**PATHS, "subsystems": json.dumps(SUBSYSTEMS)}
    words = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]
    parsed = calibrate.make_context("calibrate", words).params
    assert list(parsed["subsystems"].items()) == list(SUBSYSTEMS.items())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('["fan_*"]', "not a json object"),
        ("fan_*", "is not JSON"),
        ('{"fan_*": 3}', r"\[fan_\*\] Input should be a valid string"),
        ('{"fan_*": ""}', r"\[fan_\*\] String should have at least 1 character"),
        ('{"fan_*": "=1+1"}', "String should match pattern"),
        ('{"": "ventilation"}', "String should have at least 1 character"),
        ('{"fan_*": ["ventilation"]}', "Input should be a valid string"),
        (3, "Input should be a valid dictionary"),
    ],
)
def test_subsystems_that_are_no_names_of_patterns_are_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^pipeline parameter 'subsystems'.*{message}"):
        check_parameters({"subsystems": value})
    check_parameters({"subsystems": json.dumps(SUBSYSTEMS)})
