import json
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
from click.testing import CliRunner
from google.protobuf import json_format
from kfp import components as kfp_components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from container_component_src.cluster.step import POD_NAMESPACE_VARIABLE, Step
from container_component_src.errors import InputError
from container_component_src.main import COMMANDS
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.settings import Settings, load_settings
from container_component_src.steps.calibration import AlarmSettings
from container_component_src.steps.data import SETS
from container_component_src.steps.parameters import pipeline_parameters
from container_component_src.steps.placement import Toleration
from container_component_src.steps.serving import DeployToKserve
from container_component_src.steps.shared import Origin
from container_component_src.storage import S3_ENVIRONMENT
from pipeline.compilation import compile_pipeline
from pipeline.pipeline_definition import defaults

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


def container_tasks(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Task that runs a container by its name."""
    dags = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    return {
        name: task
        for dag in dags
        for name, task in dag["tasks"].items()
        if "executorLabel" in spec["components"][task["componentRef"]["name"]]
    }


def platform_configs(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Settings for Kubernetes by component name."""
    spec, platform = documents
    configs = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {
        name: configs[component["executorLabel"]]
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
    assert len(steps) == 16
    for container in steps.values():
        assert container["command"] == ["python", "container_component_src/main.py"]
        assert container["image"] == load_settings(ROOT / "config.toml").image.reference
        assert container["args"][0] in COMMANDS


def test_options_exist_and_required_ones_are_given(spec: dict[str, Any]) -> None:
    for name, container in executors(spec).items():
        command, given = options_of(container)
        known = {flag for parameter in command.params for flag in parameter.opts}
        required = {parameter.opts[0] for parameter in command.params if parameter.required and not parameter.envvar}
        assert set(given) <= known, name
        assert required <= set(given), name
        if name != "comp-cleanup":  # which has no outputs
            assert given["--executor-input"] == "{{$}}", name


def test_parameter_types_fit_the_options(spec: dict[str, Any]) -> None:
    for name, container in executors(spec).items():
        command, given = options_of(container)
        inputs = spec["components"][name].get("inputDefinitions", {}).get("parameters", {})
        for option, value in given.items():
            parameter = next(p for p in command.params if option in p.opts)
            assert not getattr(parameter, "is_flag", False), option  # which takes no value
            match = INPUT.fullmatch(value)
            if match and not isinstance(parameter.type, click.Choice):
                example = EXPRESSION_TYPES[inputs[match[1]]["parameterType"]]
                if parameter.type.name.startswith("json"):  # objects are text, because the compiler shuffles their keys
                    example = str(parameter.default or "{}")
                if option == "--registry":  # which takes addresses alone
                    example = "http://registry"
                parameter.type_cast_value(click.Context(command), example)


def test_commands_take_the_values_that_a_run_gives_by_default(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_ID_VARIABLE, "run")  # as in a pod
    for name in container_tasks(spec):
        command, options = launch_options(spec, name)
        command.make_context(name, [text for pair in options.items() for text in pair])


def test_steps_that_write_datasets_take_the_data_root_and_no_argument_names_the_run(spec: dict[str, Any]) -> None:
    """A run id among the inputs of a task would keep the cache from ever finding it again."""
    root = spec["root"]["inputDefinitions"]["parameters"]["data_root"]
    assert (root["defaultValue"], root["isOptional"], root["parameterType"]) == ("", True, "STRING")
    steps = executors(spec)
    for name, container in steps.items():
        outputs = spec["components"][name].get("outputDefinitions", {}).get("artifacts", {}).values()
        large = {"system.Dataset", "system.Model"} & {output["artifactType"]["schemaTitle"] for output in outputs}
        assert ("--data-root" in container["args"]) == bool(large or name == "comp-list-archives"), name
        assert not [text for text in container["args"] if "{{$.pipeline" in text or "{{workflow" in text], name
    tasks = container_tasks(spec)
    for name, task in tasks.items():
        given = task.get("inputs", {}).get("parameters", {})
        if "data_root" in given:
            assert given["data_root"]["componentInputParameter"].endswith("data_root"), name
        constants = [str(value["runtimeValue"]["constant"]) for value in given.values() if "runtimeValue" in value]
        assert not [text for text in constants if "{{" in text], name
    assert (
        "model" not in spec["components"]["comp-deploy-to-kserve"]["inputDefinitions"]
    )  # servers read with the Secret


def fed_by(spec: dict[str, Any], parameter: str) -> set[str]:
    """Container tasks that get a parameter of the pipeline, those in nested pipelines too."""

    def walk(dag: dict[str, Any], inputs: set[str]) -> set[str]:
        found: set[str] = set()
        for name, task in dag["tasks"].items():
            component = spec["components"][task["componentRef"]["name"]]
            given = task.get("inputs", {}).get("parameters", {})
            inner = {key for key, value in given.items() if value.get("componentInputParameter") in inputs}
            if inner:
                found |= walk(component["dag"], inner) if "dag" in component else {name}
        return found

    return walk(spec["root"]["dag"], {parameter})


def ancestors(spec: dict[str, Any], name: str) -> set[str]:
    """Tasks whose outputs a task of the same graph uses, directly or through others."""
    tasks: dict[str, Any] = next(
        component["dag"]["tasks"]
        for component in spec["components"].values()
        if name in component.get("dag", {}).get("tasks", {})
    )
    direct = set(re.findall(r"'producerTask': '([^']+)'", str(tasks[name])))
    return direct | {far for near in direct for far in ancestors(spec, near)}


@pytest.mark.parametrize("parameter", [*AlarmSettings.model_fields, "subsystems", "impute_missing"])
def test_what_decides_on_alarms_feeds_the_calibration_and_not_the_training(
    spec: dict[str, Any], parameter: str
) -> None:
    assert fed_by(spec, parameter) == {"list-archives", "calibrate"}  # the first step only checks it


def test_a_calibration_uses_the_training_and_all_that_needs_alarms_uses_it(spec: dict[str, Any]) -> None:
    assert "run-pytorchjob" in ancestors(spec, "calibrate")
    assert "calibrate" not in ancestors(spec, "run-pytorchjob")
    for name in ("run-evaluation", "compare-models", "visualize-results"):
        given = container_tasks(spec)[name]["inputs"]["artifacts"]["calibrated_model"]["taskOutputArtifact"]
        assert (given["producerTask"], given["outputArtifactKey"]) == ("calibrate", "calibrated_model")


@pytest.mark.parametrize("source", ["configuration", "parameter"])
def test_patterns_of_subsystems_keep_their_order(source: str, tmp_path: Path) -> None:
    """The first pattern that fits counts, and neither the compiler nor the command may sort them."""
    patterns = {"z*": "last", "fan_*": "ventilation", "a*": "first", "*": "rest"}
    settings, output = load_settings(ROOT / "config.toml"), tmp_path / "pipeline.yaml"
    if source == "configuration":
        compile_pipeline(settings.model_copy(update={"subsystems": patterns}), output)
    else:
        compile_pipeline(settings, output, parameters={"subsystems": json.dumps(patterns)})
    command, options = launch_options(next(yaml.safe_load_all(output.read_text())), "calibrate")
    given = command.make_context("calibrate", [text for pair in options.items() for text in pair]).params
    assert list(given["subsystems"].items()) == list(patterns.items())


def test_steps_take_the_sets_that_their_inputs_name(spec: dict[str, Any]) -> None:
    producers: dict[str, dict[str, str]] = {}
    for step, task in container_tasks(spec).items():
        for name, value in task.get("inputs", {}).get("parameters", {}).items():
            taken = value.get("taskOutputParameter")
            if taken and (named := re.fullmatch(r"(\w+)_df_path", name)):
                assert taken["outputParameterKey"] in (f"{named[1]}_uri", f"scaled_{named[1]}_uri")
                producers.setdefault(step, {})[named[1]] = taken["producerTask"]
    for step in ("scale-dataframes", "visualize-results"):  # the report has values in the units of the archive
        assert producers[step] == dict.fromkeys(SETS, "create-train-val-test-split")
    assert producers["compare-models"] == {"test": "create-train-val-test-split"}  # each model has its own scaler


def test_no_argument_mixes_text_and_placeholders(spec: dict[str, Any]) -> None:
    for container in executors(spec).values():
        for argument in container["args"]:
            assert "{{" not in argument or re.fullmatch(r"\{\{[^{}]*\}\}", argument), argument


def test_only_listing_comparison_report_deployment_and_cleanup_always_run(spec: dict[str, Any]) -> None:
    uncached = {
        name for name, task in container_tasks(spec).items() if not task.get("cachingOptions", {}).get("enableCache")
    }
    assert uncached == {"list-archives", "compare-models", "visualize-results", "deploy-to-kserve", "cleanup"}


def test_credentials_come_from_the_secret_alone(documents: list[dict[str, Any]]) -> None:
    for name, config in platform_configs(documents).items():
        (secret,) = config["secretAsEnv"]
        assert secret["secretName"] == "s3creds", name
        keys = (*S3_ENVIRONMENT, *(DeployToKserve.secret_keys if "deploy" in name else ()))
        assert secret["keyToEnv"] == [{"secretKey": key, "envVar": key} for key in keys], name
    for container in executors(documents[0]).values():
        assert "env" not in container


def test_file_has_nothing_that_backends_do_not_know(documents: list[dict[str, Any]]) -> None:
    spec, platform = documents
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    assert set(platform["platforms"]["kubernetes"]) == {"deploymentSpec"}  # no newer `pipelineConfig`
    for config in platform_configs(documents).values():
        json_format.ParseDict(config, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def test_every_task_has_resources_a_time_limit_a_pull_policy_and_a_label(documents: list[dict[str, Any]]) -> None:
    for name, container in executors(documents[0]).items():
        resources = container["resources"]
        assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"], name
        assert resources["resourceCpuRequest"], name
        assert "resourceCpuLimit" not in resources, name
    hours = {"run-katib-experiment": 48, "run-pytorchjob": 25, "cleanup": 0.25, "list-archives": 0.25}
    for name, config in platform_configs(documents).items():
        limit = hours.get(name.removeprefix("comp-"), 6) * 3600
        assert int(config["activeDeadlineSeconds"]) == limit, name
        assert config["imagePullPolicy"] == "IfNotPresent", name
        assert config["podMetadata"]["labels"] == {"app.kubernetes.io/part-of": "columbus-eclss-ad"}, name


def test_every_task_knows_its_run_and_its_pod(documents: list[dict[str, Any]]) -> None:
    fields = {
        "metadata.name": "pod",
        "metadata.uid": "uid",
        "metadata.namespace": "telemetry",
        "metadata.labels['pipeline/runid']": "run",
    }
    for name, config in platform_configs(documents).items():
        environment = {entry["name"]: fields[entry["fieldPath"]] for entry in config["fieldPathAsEnv"]}
        assert Step.from_environment(environment) == Step("run", "pod", "uid", "telemetry"), name


def test_all_steps_but_the_deployment_are_tried_again(documents: list[dict[str, Any]]) -> None:
    spec, configs = documents[0], platform_configs(documents)
    for name, task in container_tasks(spec).items():
        if name == "deploy-to-kserve":
            assert "retryPolicy" not in task
            continue
        policy = dict(task["retryPolicy"])
        together = int(policy.pop("backoffMaxDuration").removesuffix("s"))
        assert policy == {"maxRetryCount": 2, "backoffDuration": "30s", "backoffFactor": 2.0}, name
        # Argo kills an attempt, or makes none, once this time since the first one's start is over.
        deadline = int(configs[task["componentRef"]["name"]]["activeDeadlineSeconds"])
        assert together > 3 * deadline + 30 + 60, name


def test_cleanup_ends_every_run(spec: dict[str, Any]) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == {"cleanup", "exit-handler-1"}
    assert tasks["cleanup"]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert tasks["cleanup"]["dependentTasks"] == ["exit-handler-1"]


def test_parameters_are_given_explicitly_and_never_as_null(spec: dict[str, Any]) -> None:
    for name, task in container_tasks(spec).items():
        definitions = spec["components"][task["componentRef"]["name"]].get("inputDefinitions", {})
        given = task.get("inputs", {}).get("parameters", {})
        assert set(given) == set(definitions.get("parameters", {})), name
        constants = [value["runtimeValue"]["constant"] for value in given.values() if "runtimeValue" in value]
        assert None not in constants, name
        assert not [text for text in constants if isinstance(text, str) and "{{" in text], name


LAUNCHING = ["run-dask-preprocessing", "run-katib-experiment", "run-pytorchjob", "deploy-to-kserve"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHING)
def test_launched_pods_are_as_the_configuration_says(name: str, tmp_path: Path) -> None:
    values = load_settings(ROOT / "config.toml").model_dump(by_alias=True)
    values["image"] |= {"tag": "1.2", "pull_policy": "Always"}
    values["platform"] |= {"s3_secret": "bucket", "service_account": "jobs", "deployment_mode": "Knative"}
    values["platform"] |= {"min_replicas": 0, "max_replicas": 3}
    log = {"payload_log": "s3://logs/eclss", "payload_log_fraction": 0.1, "payload_log_alarms": False}
    values["platform"] |= log
    values["resources"] |= {"dask_worker": {"cpu": "3", "memory": "3Gi"}, "serving": {"cpu": "5", "memory": "5Gi"}}
    special = {"gpus": 2, "gpu_resource": "amd.com/gpu", "shared_memory": "4Gi"}
    values["resources"]["training"] = {"cpu": "7", "memory": "7Gi", **special}
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(Settings.model_validate(values), output)
    spec = next(yaml.safe_load_all(output.read_text()))
    command, options = launch_options(spec, name)
    size = {"run-dask-preprocessing": "3", "deploy-to-kserve": "5"}.get(name, "7")
    expected = {
        "image": "columbus-eclss-ad:1.2",
        "image_pull_policy": "Always",
        "s3_secret": "bucket",
        "service_account": "jobs",
        "cpu": size,
        "memory": f"{size}Gi",
        **(special if size == "7" else {}),
    }
    given = command.make_context(name, [text for pair in options.items() for text in pair]).params
    assert {key: getattr(given["pods"], key) for key in expected} == expected
    assert given["namespace"] == ""
    assert given.get("deployment_mode", "Knative") == "Knative"
    assert (given.get("min_replicas", 0), given.get("max_replicas", 3)) == (0, 3)
    if name == "deploy-to-kserve":
        assert {option: given[option] for option in log} == log
    assert given.get("trial_timeout", 21_600) == 21_600
    assert given.get("job_timeout", 86_400) == 86_400


def test_what_a_site_asks_of_pods_is_compiled(tmp_path: Path) -> None:
    values = load_settings(ROOT / "config.toml").model_dump(by_alias=True)
    toleration: dict[str, Any] = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    values["image"]["pull_secret"] = "registry-login"
    values["platform"] |= {"pod_labels": {"team": "eclss"}, "pod_annotations": {"example.org/note": "any: text"}}
    values["resources"]["training"] |= {"node_selector": {"pool": "gpu"}, "tolerations": [toleration]}
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(Settings.model_validate(values), output)
    compiled = list(yaml.safe_load_all(output.read_text()))
    configs = platform_configs(compiled)
    assert configs.keys() == executors(compiled[0]).keys()
    for name, config in configs.items():
        json_format.ParseDict(config, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        assert [secret["secretName"] for secret in config["imagePullSecret"]] == ["registry-login"], name
        assert config["podMetadata"]["labels"] == {"app.kubernetes.io/part-of": "columbus-eclss-ad", "team": "eclss"}
        assert config["podMetadata"]["annotations"] == {"example.org/note": "any: text"}
    for name in LAUNCHING:
        command, options = launch_options(compiled[0], name)
        pods = command.make_context(name, [text for pair in options.items() for text in pair]).params["pods"]
        assert (pods.image_pull_secret, pods.pod_labels) == ("registry-login", {"team": "eclss"})
        assert pods.pod_annotations == {"example.org/note": "any: text"}
        trains = name in ("run-katib-experiment", "run-pytorchjob")
        assert pods.node_selector == ({"pool": "gpu"} if trains else {}), name
        assert pods.tolerations == ((Toleration(**toleration),) if trains else ()), name


@pytest.mark.parametrize(("gpus", "expected"), [(0, "plain:1.2"), (1, "registry/cuda:1.2")])
def test_only_pods_with_gpus_run_the_image_that_is_named_for_them(gpus: int, expected: str, tmp_path: Path) -> None:
    values = load_settings(ROOT / "config.toml").model_dump(by_alias=True)
    values["image"] |= {"repository": "plain", "gpu_repository": "registry/cuda", "tag": "1.2"}
    values["resources"]["training"]["gpus"] = gpus
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(Settings.model_validate(values), output)
    compiled = next(yaml.safe_load_all(output.read_text()))
    assert {container["image"] for container in executors(compiled).values()} == {"plain:1.2"}
    inputs = {name: task.get("inputs", {}).get("parameters", {}) for name, task in container_tasks(compiled).items()}
    images = {
        name: json.loads(given["runtimeValue"]["constant"])["image"]
        for name, parameters in inputs.items()
        for parameter, given in parameters.items()
        if parameter in ("pods", "training_pods")
    }
    others = dict.fromkeys(("run-dask-preprocessing", "deploy-to-kserve"), "plain:1.2")
    training = dict.fromkeys(("list-archives", "run-katib-experiment", "run-pytorchjob"), expected)
    assert images == {**others, **training}


@pytest.mark.parametrize(
    "name",
    ["run-dask-preprocessing", "run-katib-experiment", "run-pytorchjob"],
)
def test_dry_run_of_what_a_step_is_given(name: str, spec: dict[str, Any]) -> None:
    command, options = launch_options(spec, name)
    words = [*(text for pair in options.items() for text in pair), "--dry-run"]
    result = CliRunner().invoke(command, words, env={POD_NAMESPACE_VARIABLE: "profile-of-a-user"})
    assert result.exit_code == 0, result.output
    manifest = yaml.safe_load(result.stdout)
    assert manifest["metadata"]["namespace"] == "profile-of-a-user"
    assert "columbus-eclss-ad:latest" in result.stdout


def test_parameters_are_described_and_have_the_declared_defaults(spec: dict[str, Any]) -> None:
    compiled = spec["root"]["inputDefinitions"]["parameters"]
    declared = pipeline_parameters()
    assert set(compiled) == set(declared)
    for name, field in declared.items():
        assert compiled[name]["description"].startswith(str(field.description))
    for name, accepted in {"backend": "kubernetes, local", "val_fraction": "above 0, below 1"}.items():
        assert compiled[name]["description"].endswith(f" [{accepted}]")
    configuration = load_settings(ROOT / "config.toml")
    assert {name: value["defaultValue"] for name, value in compiled.items()} == defaults(configuration)


def test_the_first_step_gets_all_parameters(spec: dict[str, Any]) -> None:
    inputs = spec["components"]["comp-list-archives"]["inputDefinitions"]["parameters"]
    assert set(inputs) == {*pipeline_parameters(), "training_pods", "origin"}


def launch_options(spec: dict[str, Any], name: str) -> tuple[click.Command, dict[str, str]]:
    """The command of a task, and its options with constants and defaults filled in."""
    task = container_tasks(spec)[name]
    component = spec["components"][task["componentRef"]["name"]]
    defaults = spec["root"]["inputDefinitions"]["parameters"]
    command, options = options_of(executors(spec)[task["componentRef"]["name"]])
    for option, text in options.items():
        if text.startswith("{{$.outputs."):
            options[option] = "s3://bucket/output"
        elif match := INPUT.fullmatch(text):
            given = task["inputs"]["parameters"][match[1]]
            if "runtimeValue" in given:
                value = given["runtimeValue"]["constant"]
            elif "componentInputParameter" in given:
                inner = given["componentInputParameter"].removeprefix("pipelinechannel--")
                value = defaults.get(inner, {}).get("defaultValue", "text")
            else:  # the output of another task
                kind = component["inputDefinitions"]["parameters"][match[1]]["parameterType"]
                given = "{}" if option == "--hyperparameters" else "s3://bucket/output"
                value = ["a"] if kind == "LIST" else given
            options[option] = value if isinstance(value, str) else json.dumps(value)
    return command, options


def test_a_service_that_cannot_be_is_refused_with_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text((ROOT / "config.toml").read_text().replace("min_replicas = 1", "min_replicas = 0"))
    with pytest.raises(InputError, match="--min-replicas 0 needs --deployment-mode Knative"):
        load_settings(config)


def test_no_retries_if_none_are_wanted(tmp_path: Path) -> None:
    settings = load_settings(ROOT / "config.toml")
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(settings.model_copy(update={"limits": settings.limits.model_copy(update={"retries": 0})}), output)
    assert "maxRetryCount" not in output.read_text()


@pytest.mark.slow
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
            [
                *(sys.executable, "pipeline/compile_and_run_pipeline.py", "--compile-only", "--output", str(output)),
                *("--param", "data_root=s3://bucket/runs"),
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONHASHSEED": seed, **secrets},
            check=True,
        )
        texts.add(output.read_text())
    (text,) = texts
    lines = [line for line in text.splitlines() if not line.startswith("#")]  # the parameters again, for readers
    assert sum("s3://bucket/runs" in line for line in lines) == 1  # the default of the parameter
    assert "leaked" not in text
    assert str(ROOT) not in text
    assert str(tmp_path) not in text


def test_compiled_file_loads_again(tmp_path: Path) -> None:
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(load_settings(ROOT / "config.toml"), output)
    loaded = kfp_components.load_component_from_file(str(output))
    assert loaded.pipeline_spec.pipeline_info.name == "columbus-eclss-ad-pipeline"
    assert list(tmp_path.iterdir()) == [output]


def test_the_report_names_the_run_that_the_first_step_wrote_down(tmp_path: Path) -> None:
    output, origin = tmp_path / "p.yaml", Origin(title="Loop", config="own.toml", commit="c0ffee", image="name:1.0")
    compile_pipeline(load_settings(ROOT / "config.toml"), output, origin=origin)
    spec, _ = yaml.safe_load_all(output.read_text())
    tasks = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert tasks["visualize-results"]["inputs"]["artifacts"]["run"] == {
        "taskOutputArtifact": {"producerTask": "list-archives", "outputArtifactKey": "run"}
    }
    given = tasks["list-archives"]["inputs"]["parameters"]["origin"]["runtimeValue"]["constant"]
    assert Origin.model_validate_json(given) == origin


def test_only_a_model_that_passes_the_gate_and_is_promoted_is_deployed(spec: dict[str, Any]) -> None:
    outer = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert outer["deploy-if-good"]["inputs"]["parameters"]["promoted"] == {
        "taskOutputParameter": {"producerTask": "compare-models", "outputParameterKey": "promoted"}
    }
    outputs = spec["components"]["comp-compare-models"]["outputDefinitions"]["parameters"]
    assert outputs == {"promoted": {"parameterType": "BOOLEAN"}, "promotion_reason": {"parameterType": "STRING"}}
    (condition,) = spec["components"]["comp-deploy-if-good"]["dag"]["tasks"].values()
    assert condition["inputs"]["parameters"]["pipelinechannel--promoted"] == {"componentInputParameter": "promoted"}
    assert condition["triggerPolicy"] == {"condition": "inputs.parameter_values['pipelinechannel--promoted'] == true"}
    gate = {"taskOutputArtifact": {"producerTask": "check-gate", "outputArtifactKey": "gate"}}
    assert outer["compare-models"]["inputs"]["artifacts"]["gate"] == gate
    report = outer["visualize-results"]["inputs"]["artifacts"]
    assert report["gate"] == gate
    assert report["comparison"] == {
        "taskOutputArtifact": {"producerTask": "compare-models", "outputArtifactKey": "comparison"}
    }
