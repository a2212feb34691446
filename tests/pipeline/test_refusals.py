"""Whatever a configuration and the parameters say: the pipeline compiles, or one line says what is wrong."""

import contextlib
import copy
import io
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.steps.parameters import pipeline_parameters
from pipeline.compile_and_run_pipeline import main
from tests.helpers import write_toml

SHIPPED = Path(__file__).resolve().parents[2] / "config.toml"
VALUES: dict[str, Any] = tomli.loads(SHIPPED.read_text(encoding="utf-8"))
NESTED = "[" * 5000 + "]" * 5000
ODD = st.sampled_from(
    [
        *(0, -1, 1, 3, 2**31, 2**63, 10**30, 10**400, True, 0.0, 0.5, -0.5, 1e-9, 1e300),
        *(float("nan"), float("inf"), [], [1], [[]], ["a"], {}, {"cpu": "1"}, {"cpu": "1", "memory": "1Gi"}),
        *("", " ", "a", "\0", "a\0b", "\n", "ä", "Ä b", "A_b", "a.b", "-a", "x" * 300, "~", "~nobody/x", "s3://", "/"),
        *("0", "1", "0.5", "1e3", "500m", "0.0001", "1k", "2000", "1Gi", "100m", "9" * 20 + "Gi", "9" * 38, "." * 9),
        *("{{$}}", "{{$.inputs.parameters}}", "{{workflow.name}}", "$(x)", "a/b:c", "::", "file:///x", "true", "null"),
    ]
)
TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "a",
            "\0",
            "1",
            "-1",
            "0.5",
            "1e400",
            "nan",
            "inf",
            "true",
            "null",
            "9" * 30,
            "9" * 5000,
            "~",
            "s3://",
        ),
        *("[]", "[null]", "[NaN]", "[1e999]", "[true]", '["1,2"]', "[[1,2]]", "{}", '{"id": null}', '{"id": ""}', "["),
        *(NESTED, f'{{"id": {NESTED}}}', f"[{'9' * 5000}]", "x" * 3000, "A b", "a\nb", "{{$}}"),
    ]
)
SECTIONS = st.sampled_from([*VALUES, "more"])
KEYS = sorted({key for entries in VALUES.values() for key in entries} | {"more"})


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """The shipped configuration with up to three changes."""
    values = copy.deepcopy(VALUES)
    for _ in range(draw(st.integers(0, 3))):
        section = draw(SECTIONS)
        entries = values.get(section)
        if entries is None or draw(st.integers(0, 9)) == 0:
            values.pop(section, None)
            continue
        key = draw(
            st.sampled_from([*VALUES.get(section, {}), *pipeline_parameters()] if section == "parameters" else KEYS)
        )
        if draw(st.booleans()):
            entries[key] = draw(ODD)
        else:
            entries.pop(key, None)
        if isinstance(entries.get(key), dict) and draw(st.booleans()):
            entries[key][draw(st.sampled_from(["cpu", "memory", "gpus", "gpu_resource", "shared_memory"]))] = draw(ODD)
    return values


def outcome(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the one line of an error."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = main(["--compile-only", "--image-tag", "1.0", *arguments])
    lines = [line for line in error.getvalue().splitlines() if not line.startswith("warning: ")]
    assert (code, len(lines)) in {(0, 0), (2, 1)}, error.getvalue()
    assert all(line.startswith("error: ") and len(line) < 2100 for line in lines)
    return code, "".join(lines)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configurations(), st.dictionaries(st.sampled_from(sorted(pipeline_parameters())), TEXTS, max_size=2))
def test_any_configuration_compiles_or_is_refused(
    tmp_path: Path, values: dict[str, Any], given_: dict[str, str]
) -> None:
    config = write_toml(tmp_path / "config.toml", values)
    parameters = [f"--param={name}={text}" for name, text in given_.items()]
    outcome("--config", str(config), "--output", str(tmp_path / "out.yaml"), *parameters)


def test_a_warning_about_a_path_with_a_line_break_is_one_line(tmp_path: Path) -> None:
    """As `outcome` asserts."""
    assert outcome("--param", "archives_path=a\nb", "--output", str(tmp_path / "out.yaml"))[0] == 0


def test_a_quantile_that_is_not_in_the_tail_is_refused_when_the_pipeline_is_compiled(tmp_path: Path) -> None:
    parameters = ("--param", "threshold_method=peaks_over_threshold", "--param", "alarm_quantile=0.95")
    code, line = outcome(*parameters, "--output", str(tmp_path / "out.yaml"))
    assert code == 2
    assert line.startswith("error: alarm_quantile 0.95 is not above 0.98")
    assert not (tmp_path / "out.yaml").exists()


@pytest.mark.parametrize(
    "text",
    [
        *("betas=[null]", "lrs=[NaN]", f"betas={NESTED}", f"betas=[{'9' * 5000}]", "namespace=Team_A", "lrs=[1e999]"),
        *('subsystems=["fan_*"]', 'subsystems={"fan_*": 3}', 'subsystems={"fan_*": ""}', "subsystems=fan_*"),
    ],
)
def test_parameters_that_nothing_can_use(text: str, tmp_path: Path) -> None:
    name, _, _ = text.partition("=")
    code, line = outcome("--param", text, "--output", str(tmp_path / "out.yaml"))
    assert code == 2
    assert f"'{name}'" in line


def _paths_alone() -> dict[str, Any]:
    return {"paths": {name: VALUES["paths"][name] for name in ("archives", "reports")}}


def _without(section: str, *keys: str) -> dict[str, Any]:
    """The shipped configuration without some keys of a section, or without the section."""
    kept = {name: value for name, value in VALUES[section].items() if name not in keys}
    others = {name: entries for name, entries in VALUES.items() if name != section}
    return {**others, section: kept} if keys else others


@pytest.mark.parametrize(
    "values",
    [
        _paths_alone(),
        *(_without(section) for section in VALUES if section != "paths"),
        *(_without("limits", key) for key in VALUES["limits"]),
    ],
)
def test_all_but_the_paths_of_the_data_may_be_left_out(values: dict[str, Any], tmp_path: Path) -> None:
    config = write_toml(tmp_path / "config.toml", values)
    assert outcome("--config", str(config), "--output", str(tmp_path / "out.yaml")) == (0, "")


@pytest.mark.parametrize("name", ["", 3, ["ventilation"], {"fan": "ventilation"}])
def test_a_subsystem_without_a_name_is_refused_with_the_configuration(name: object, tmp_path: Path) -> None:
    config = write_toml(tmp_path / "config.toml", {**VALUES, "subsystems": {"fan_*": name}})
    code, line = outcome("--config", str(config), "--output", str(tmp_path / "out.yaml"))
    assert code == 2
    assert f"{config}: key 'subsystems.fan_*" in line


def test_whole_numbers_are_taken_for_other_numbers(tmp_path: Path) -> None:
    values = {**VALUES, "limits": {"step_hours": 1, "trial_hours": 2, "tuning_hours": 3, "training_hours": 4}}
    config = write_toml(tmp_path / "config.toml", {**values, "parameters": {"window_hours": 1, "betas": [1, 2]}})
    assert outcome("--config", str(config), "--output", str(tmp_path / "out.yaml"))[0] == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"windowhours": 1}, "unknown pipeline parameter 'windowhours' in {}; did you mean 'window_hours'?"),
        ({"window_hours": -1}, "pipeline parameter 'window_hours' in {} is -1: Input should be greater than"),
        ({"lrs": "[0.1"}, "pipeline parameter 'lrs' in {}: '[0.1' is not JSON"),
    ],
)
def test_a_wrong_parameter_of_the_configuration_is_found_in_its_file(
    wrong: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = write_toml(tmp_path / "my.toml", {**_paths_alone(), "parameters": wrong})
    code, line = outcome("--config", str(config), "--output", str(tmp_path / "out.yaml"))
    assert code == 2
    assert line.startswith("error: " + message.format(f"{config} [parameters]"))


def test_a_wrong_parameter_of_the_command_is_not_looked_for_in_the_configuration(tmp_path: Path) -> None:
    config = write_toml(tmp_path / "my.toml", {**_paths_alone(), "parameters": {"window_hours": 1}})
    code, line = outcome("--config", str(config), "--param", "window_hours=x")
    assert code == 2
    assert line.startswith("error: pipeline parameter 'window_hours' is 'x': ")
