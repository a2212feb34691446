import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kfp import components as kfp_components

from container_component_src.main import COMMANDS
from container_component_src.settings import load_settings
from pipeline.compile_and_run_pipeline import compile_pipeline

ROOT = Path(__file__).resolve().parents[2]
INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}")
EXPRESSION_TYPES = {
    "NUMBER_INTEGER": "1",
    "NUMBER_DOUBLE": "0.5",
    "BOOLEAN": "true",
    "STRING": "text",
    "LIST": '["a"]',
    "STRUCT": '{"id": "ID"}',
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(load_settings(ROOT / "config.toml"), output)
    return list(yaml.safe_load_all(output.read_text()))


@pytest.fixture(scope="module")
def spec(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


def executors(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Container by component name."""
    containers = spec["deploymentSpec"]["executors"]
    return {
        name: containers[component["executorLabel"]]["container"]
        for name, component in spec["components"].items()
        if "executorLabel" in component
    }


def options_of(container: dict[str, Any]) -> tuple[click.Command, dict[str, str]]:
    """The click command that a container runs, and the options that it is given."""
    command, *rest = container["args"]
    loaded = getattr(import_module(f"container_component_src.cli.{command}"), command)
    return loaded, dict(zip(rest[::2], rest[1::2], strict=True))


def test_every_step_runs_a_command_of_the_one_program(spec: dict[str, Any]) -> None:
    steps = executors(spec)
    assert len(steps) == 12
    for container in steps.values():
        assert container["command"] == ["python", "container_component_src/main.py"]
        assert container["image"] == load_settings(ROOT / "config.toml").image.reference
        assert container["args"][0] in COMMANDS


def test_options_exist_and_required_ones_are_given(spec: dict[str, Any]) -> None:
    for name, container in executors(spec).items():
        command, given = options_of(container)
        known = {flag for parameter in command.params for flag in parameter.opts}
        required = {parameter.opts[0] for parameter in command.params if parameter.required}
        assert set(given) <= known, name
        assert required <= set(given), name
        assert given["--executor-input"] == "{{$}}", name


def test_parameter_types_fit_the_options(spec: dict[str, Any]) -> None:
    for name, container in executors(spec).items():
        command, given = options_of(container)
        inputs = spec["components"][name].get("inputDefinitions", {}).get("parameters", {})
        for option, value in given.items():
            parameter = next(p for p in command.params if option in p.opts)
            match = INPUT.fullmatch(value)
            if match and not isinstance(parameter.type, click.Choice):
                example = EXPRESSION_TYPES[inputs[match[1]]["parameterType"]]
                if parameter.name == "report_columns":
                    example = EXPRESSION_TYPES["STRUCT"]  # handed on as text, since the compiler shuffles objects
                parameter.type_cast_value(click.Context(command), example)


def test_no_argument_mixes_text_and_placeholders(spec: dict[str, Any]) -> None:
    for container in executors(spec).values():
        for argument in container["args"]:
            assert "{{" not in argument or re.fullmatch(r"\{\{[^{}]*\}\}", argument), argument


def test_only_listing_and_deployment_always_run(spec: dict[str, Any]) -> None:
    dags = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    uncached = {
        name
        for dag in dags
        for name, task in dag["tasks"].items()
        if not task.get("cachingOptions", {}).get("enableCache")
        and "executorLabel" in spec["components"][task["componentRef"]["name"]]
    }
    assert uncached == {"list-archives", "deploy-to-kserve"}


def test_credentials_come_from_the_secret_alone(documents: list[dict[str, Any]]) -> None:
    spec, platform = documents
    for name, component in spec["components"].items():
        if "executorLabel" in component:
            config = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][component["executorLabel"]]
            secret = config["secretAsEnv"][0]
            assert secret["secretName"] == "s3creds", name
            keys = {pair["secretKey"] for pair in secret["keyToEnv"]}
            assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= keys


def test_compiling_is_offline_deterministic_and_leaks_nothing(tmp_path: Path) -> None:
    texts = set()
    for seed in ("1", "2"):
        output = tmp_path / f"{seed}.yaml"
        secrets = {
            "AWS_ACCESS_KEY_ID": "leaked-id",
            "AWS_SECRET_ACCESS_KEY": "leaked-secret",
            "S3_ENDPOINT": "leaked-host",
        }
        subprocess.run(
            [sys.executable, "pipeline/compile_and_run_pipeline.py", "--compile-only", "--output", str(output)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONHASHSEED": seed, **secrets},
            check=True,
        )
        texts.add(output.read_text())
    (text,) = texts
    assert "leaked" not in text
    assert str(ROOT) not in text
    assert str(tmp_path) not in text


def test_compiled_file_loads_again(tmp_path: Path) -> None:
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(load_settings(ROOT / "config.toml"), output)
    loaded = kfp_components.load_component_from_file(str(output))
    assert loaded.pipeline_spec.pipeline_info.name == "columbus-eclss-ad-pipeline"
    assert list(tmp_path.iterdir()) == [output]
