from typing import Any

import pytest

from container_component_src.errors import InputError
from container_component_src.steps.description import default_of
from container_component_src.steps.parameters import (
    DEFAULT_BACKEND,
    PIPELINE_STEPS,
    changed_parameters,
    check_parameters,
    pipeline_parameters,
)
from container_component_src.steps.shared import PodSettings


def test_steps_that_share_a_parameter_declare_it_alike() -> None:
    """Otherwise a step run by hand would differ from the same step in the pipeline."""
    declared = pipeline_parameters()
    for step in PIPELINE_STEPS:
        for name, parameter in step.parameters().items():
            own, first = step.model_fields[name], declared[parameter]
            assert (own.annotation, own.default, own.description, own.metadata) == (
                first.annotation,
                first.default,
                first.description,
                first.metadata,
            ), (step.__name__, parameter)


def test_every_default_passes_the_check() -> None:
    defaults = {name: field.default for name, field in pipeline_parameters().items() if not field.is_required()}
    check_parameters(defaults)
    check_parameters({})


def test_defaults_in_any_notation_are_no_changes() -> None:
    declared = {name: field for name, field in pipeline_parameters().items() if not field.is_required()}
    texts = {name: default_of(field) for name, field in declared.items()}
    typed: dict[str, object] = {name: field.default for name, field in declared.items()}
    assert changed_parameters({**texts, "backend": DEFAULT_BACKEND}) == {}
    assert changed_parameters({**typed, "backend": DEFAULT_BACKEND}) == {}
    assert changed_parameters({"archives_path": "/data"}) == {}  # has no default


def test_changed_values_are_told_as_json_values() -> None:
    changed = {
        "latent_dims": [4.0, 8.0],  # as KFP passes whole numbers on
        "hidden_dims": ["32,16"],
        "subsystems": '{"*": "rest"}',
        "smoothing": "mean",
        "max_epochs": "3",
        "beat_baselines": "true",
    }
    assert changed_parameters(changed) == {
        "latent_dims": [4, 8],
        "hidden_dims": ["32,16"],
        "subsystems": {"*": "rest"},
        "smoothing": "mean",
        "max_epochs": 3,
        "beat_baselines": True,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alarm_quantile": "99"}, "'alarm_quantile' is '99': .* less than 1"),
        (
            {"threshold_method": "peaks_over_threshold", "alarm_quantile": "0.95"},
            "^alarm_quantile 0.95 is not above 0.98, where the tail starts that threshold_method peaks_over_threshold",
        ),
        ({"smoothing": "ewma"}, "'smoothing' is 'ewma': .*'none', 'mean', 'median' or 'exponential'"),
        ({"threshold_method": "pot"}, "'threshold_method' is 'pot': .*'quantile' or 'peaks_over_threshold'"),
        ({"tuning_algorithm": "hyperband"}, "'tuning_algorithm' is 'hyperband'"),
        ({"scaler_type": "Standard"}, "'scaler_type' is 'Standard'"),
        ({"val_fraction": 20.0}, r"'val_fraction' is 20\.0"),
        (
            {"val_fraction": "0.4", "calibration_fraction": 0.6},
            "^val_fraction 0.4 and calibration_fraction 0.6 leave no training data; their sum must be below 1",
        ),
        ({"val_fraction": "0.95"}, "^val_fraction 0.95 and calibration_fraction .* leave no training data"),
        ({"window_hours": "nan"}, "'window_hours' is 'nan'"),
        ({"latent_dims": "[8, 8]"}, r"'latent_dims' is '\[8, 8\]': 8 is repeated"),
        ({"latent_dims": '"8"'}, "'latent_dims': .* is not a json list"),
        ({"hidden_dims": '["128"]'}, "does not name two layer sizes"),
        ({"latent_dims": "8, 16"}, "'8, 16' is not JSON"),
        ({"service_name": "Columbus v2"}, "'service_name' is 'Columbus v2': .* is not a valid service name"),
        ({"report_columns": '{"ID": "x"}'}, r"'report_columns' is .*: \[ID\] Extra inputs"),
        ({"namespace": 3}, "'namespace' is 3: Input should be a valid string"),
        ({"hidden_dims": "64,32"}, "'hidden_dims': '64,32' is not JSON"),
        (
            {"num_gpu_nodes": 4, "batch_sizes": "[64, 4]"},
            "batch size 4 of batch_sizes is too small for",
        ),
        ({"backend": "local", "tuning_algorithm": "bayesian"}, "tuning_algorithm bayesian needs backend kubernetes"),
        ({"backend": "local", "trial_early_stopping": "medianstop"}, "trial_early_stopping medianstop needs backend"),
        ({"min_dask_workers": 4, "max_dask_workers": 2}, "min_dask_workers 4 and max_dask_workers 2 are no range"),
        (
            {"trial_early_stopping": "medianstop", "tuning_max_epochs": 1, "medianstop_start_step": 3},
            "medianstop_start_step 3 stops no trial of 1 epochs; lower it or raise tuning_max_epochs",
        ),
    ],
)
def test_a_value_that_a_step_cannot_use_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_parameters(values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"latent_dims": "[8, 100000000]"}, "latent_dim 100000000"),
        ({"hidden_dims": '["128,64", "1000000,1000000"]'}, "hidden_dims 1000000,1000000"),
        ({"batch_sizes": [10**10]}, "batch_size 10000000000"),
        ({"window_steps": 10_000, "hidden_dims": '["9999,9999"]'}, "window_steps 10000"),
    ],
)
def test_sizes_beyond_the_memory_are_refused_where_it_is_known(values: dict[str, Any], named: str) -> None:
    check_parameters(values)  # a cluster with pods of unknown size
    with pytest.raises(InputError, match=rf"{named}\b.* a pod \(memory 2Gi\) has 2\.0 GiB"):
        check_parameters(values, PodSettings(memory="2Gi"))


def test_sizes_are_compared_with_the_memory_of_this_machine_on_the_local_backend() -> None:
    with pytest.raises(InputError, match="this machine has"):
        check_parameters({"latent_dims": [10**9], "backend": "local"}, PodSettings(memory="9Ti"))


def test_window_of_a_day_is_refused() -> None:
    with pytest.raises(InputError, match=r"'window_steps' is 86400: .*less than or equal to 10000"):
        check_parameters({"window_steps": 86400})


def test_all_problems_are_named_once() -> None:
    with pytest.raises(InputError) as caught:
        check_parameters({"seed": -1, "alarm_quantile": 2})
    assert str(caught.value).count("'seed'") == 1  # although several steps take the seed
    assert "'alarm_quantile'" in str(caught.value)


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(InputError, match=r"unknown pipeline parameter 'windows_hours'; did you mean 'window_hours'\?"):
        check_parameters({"windows_hours": 1})
    with pytest.raises(InputError, match="use one of alarm_quantile, "):
        check_parameters({"zzz": 1})


def test_text_is_read_like_the_values_of_a_run() -> None:
    check_parameters({"max_trials": "1e1", "tuning_algorithm": "bayesian"})
    check_parameters({"seed": "3.0", "strict_reports": "false", "lrs": "[0.01]", "val_fraction": "0.5"})
    for steps in ("5", 5, 5.0, "[1, 5]", [1, 5]):  # a number is a list of one
        check_parameters({"window_steps": steps})
    check_parameters({"seed": 3.0, "strict_reports": False, "lrs": [0.01], "val_fraction": 0.5})
