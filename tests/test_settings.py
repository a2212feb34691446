"""Settings: the shipped file, and every key that may be wrong in another."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import tomli
from pydantic import ValidationError

from container_component_src.errors import InputError
from container_component_src.settings import Settings, load_settings
from container_component_src.steps.data import ReportColumns
from container_component_src.steps.shared import PodSettings, ReportSettings
from container_component_src.values import validated
from tests.helpers import write_toml

SHIPPED = Path(__file__).resolve().parents[1] / "config.toml"
VALUES = tomli.loads(SHIPPED.read_text(encoding="utf-8"))


def test_the_shipped_file(tmp_path: Path) -> None:
    settings = load_settings(SHIPPED)
    assert settings.col_names.timestamp == "normalizedTime"
    assert settings.col_names.report == ReportColumns()  # the format of the reports is the default of the commands
    assert settings.image.reference == f"{settings.image.repository}:{settings.image.tag}"
    assert not settings.paths.work_dir.is_absolute()
    assert load_settings(write_toml(tmp_path / "copy.toml", VALUES)) == settings


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf" + SHIPPED.read_bytes().replace(b"\n", b"\r\n"))
    assert load_settings(tmp_path / "c.toml") == load_settings(SHIPPED)


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    values = {**VALUES, "paths": {**VALUES["paths"], "work_dir": "~/runs"}}
    assert load_settings(write_toml(tmp_path / "copy.toml", values)).paths.work_dir == tmp_path / "runs"


def test_settings_are_frozen() -> None:
    settings = load_settings(SHIPPED)
    with pytest.raises(ValidationError, match="frozen"):
        settings.paths.archives = "elsewhere"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.image = settings.image  # type: ignore[misc]


FREE = {"parameters", "subsystems"}  # sections whose keys are the user's
NEUTRAL = {"report": ReportSettings()}  # sections whose defaults name no mission
KEYS = [(section, key) for section in VALUES if section not in FREE for key in VALUES[section]]
REQUIRED = {("paths", "archives"), ("paths", "reports")}
# Is text, or may be empty.
ANYTHING = {
    *(("paths", key) for key in ("feedback", "work_dir", "data_root")),
    *(("platform", key) for key in ("model_registry", "service_account", "payload_log")),
    ("image", "gpu_repository"),
    ("image", "pull_secret"),
}


def only(section: str) -> dict[str, Any]:
    """Return the neutral defaults of one section."""
    return {name: defaults for name, defaults in NEUTRAL.items() if name == section}


@pytest.mark.parametrize("wrong", [[1], -3, ""])
@pytest.mark.parametrize(("section", "key"), [keys for keys in KEYS if keys not in ANYTHING])
def test_values_of_a_wrong_type(section: str, key: str, wrong: Any, tmp_path: Path) -> None:
    changed = copy.deepcopy(VALUES)
    changed[section][key] = wrong
    with pytest.raises(InputError, match=rf"c\.toml: key '{section}\.{key}.*' is wrong: "):
        load_settings(write_toml(tmp_path / "c.toml", changed))


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_missing_keys(section: str, key: str, tmp_path: Path) -> None:
    changed = copy.deepcopy(VALUES)
    del changed[section][key]
    path = write_toml(tmp_path / "c.toml", changed)
    if (section, key) not in REQUIRED:
        assert load_settings(path) == load_settings(SHIPPED).model_copy(update=only(section))
        return
    with pytest.raises(InputError, match=rf"c\.toml: key '{section}\.{key}' is missing"):
        load_settings(path)


@pytest.mark.parametrize("section", [section for section in VALUES if section not in {"paths", *FREE}])
def test_missing_sections(section: str, tmp_path: Path) -> None:
    path = write_toml(tmp_path / "c.toml", {name: entries for name, entries in VALUES.items() if name != section})
    assert load_settings(path) == load_settings(SHIPPED).model_copy(update=only(section))


def test_the_paths_of_the_data_are_enough(tmp_path: Path) -> None:
    paths = {key: VALUES["paths"][key] for section, key in REQUIRED}
    settings = load_settings(write_toml(tmp_path / "c.toml", {"paths": paths}))
    assert settings == load_settings(SHIPPED).model_copy(update={"subsystems": {}, **NEUTRAL})
    with pytest.raises(InputError, match="key 'paths' is missing"):
        load_settings(write_toml(tmp_path / "c.toml", {"image": VALUES["image"]}))


@pytest.mark.parametrize(
    ("section", "key"), [(section, "colour") for section in VALUES if section not in FREE] + [("more", "colour")]
)
def test_unknown_keys(section: str, key: str, tmp_path: Path) -> None:
    changed = copy.deepcopy(VALUES)
    changed.setdefault(section, {})[key] = "red"
    with pytest.raises(InputError, match=rf"c\.toml: key '{section}.*' is not a known key") as caught:
        load_settings(write_toml(tmp_path / "c.toml", changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gpu_repository", "gpus", "expected"),
    [("", 0, ["name:1"]), ("", 2, ["name:1"]), ("cuda", 0, ["name:1"]), ("cuda", 2, ["name:1", "cuda:1"])],
)
def test_pods_with_gpus_have_the_image_that_is_named_for_them(
    gpu_repository: str, gpus: int, expected: list[str]
) -> None:
    changed = copy.deepcopy(VALUES)
    changed["image"] |= {"repository": "name", "gpu_repository": gpu_repository, "tag": "1"}
    changed["resources"]["training"]["gpus"] = gpus
    settings = Settings.model_validate(changed)
    assert settings.image_for(settings.resources.training) == expected[-1]
    assert settings.image_for(settings.resources.serving) == expected[0]
    assert list(settings.images) == expected


def test_a_repository_for_gpus_that_no_registry_accepts(tmp_path: Path) -> None:
    changed = copy.deepcopy(VALUES)
    changed["image"]["gpu_repository"] = "Name With Blanks"
    with pytest.raises(
        InputError, match=r"key 'image\.gpu_repository' is wrong: .* is not a valid repository of an image"
    ):
        load_settings(write_toml(tmp_path / "c.toml", changed))


def test_several_faults_at_once(tmp_path: Path) -> None:
    changed = copy.deepcopy(VALUES)
    del changed["paths"]["reports"]
    changed["image"]["colour"] = "red"
    with pytest.raises(InputError, match=r"'paths\.reports' is missing.*; key 'image\.colour' is not a known key"):
        load_settings(write_toml(tmp_path / "c.toml", changed))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "no such configuration file"),
        (b"[paths", "not readable as TOML"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "not readable as TOML"),
        (b"a = " + b"9" * 5000, "not readable as TOML"),
    ],
)
def test_files_that_are_no_settings(content: bytes | None, fault: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(InputError, match=rf"c\.toml: {fault}"):
        load_settings(tmp_path / "c.toml")
    with pytest.raises(InputError, match="no such configuration file"):
        load_settings(Path("a\0b"))
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            load_settings(path)


def test_without_limits_the_defaults_are_numbers_of_the_declared_types() -> None:
    without = Settings.model_validate({name: entries for name, entries in VALUES.items() if name != "limits"})
    assert without == load_settings(SHIPPED)
    hours = without.limits.model_dump(exclude={"retries"}).values()
    assert [type(value) for value in hours] == [float] * 4  # KFP takes no integer for a float


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("limits", "retries", 2**63),
        ("limits", "step_hours", float("nan")),
        ("resources", "light", {"cpu": "9" * 20 + "Gi", "memory": "1Gi"}),
        ("resources", "light", {"cpu": "1", "memory": "9" * 38}),
        ("platform", "s3_secret", "S3_creds"),
        ("platform", "service_account", "a b"),
        ("platform", "trial_user", 2**31),
        ("platform", "max_replicas", 2**31),
        ("image", "repository", "https://host/Name"),
        ("image", "tag", "a b"),
        ("paths", "archives", "s3://key:secret@bucket/a"),
        ("paths", "data_root", "gs://bucket"),
        ("paths", "feedback", "gs://bucket/feedback.csv"),
        ("platform", "model_registry", "registry:8080"),
        ("platform", "model_registry", "https://key:secret@registry"),
        ("platform", "payload_log", "gs://bucket"),
    ],
)
def test_what_the_cluster_or_the_store_would_refuse(section: str, key: str, value: Any) -> None:
    changed = copy.deepcopy(VALUES)
    changed[section][key] = value
    with pytest.raises(InputError, match=rf"^c\.toml: key '{section}\.{key}[a-z.]*' is wrong: ") as caught:
        validated(Settings, changed, "c.toml")
    assert "secret@" not in str(caught.value)


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml(tmp_path / "c.toml", VALUES)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings(Path("~/c.toml")) == Settings.model_validate(VALUES)


def test_byte_order_mark(tmp_path: Path) -> None:
    path = write_toml(tmp_path / "c.toml", VALUES)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_settings(path) == Settings.model_validate(VALUES)


def test_validated_names_the_source() -> None:
    with pytest.raises(InputError, match=r"^--option: key 'paths' is missing; add it$"):
        validated(Settings, {}, "--option")
    with pytest.raises(InputError, match=r"^--option: [^']*dictionary"):
        validated(Settings, 3, "--option")


SITE: dict[str, Any] = {
    "image": {"pull_secret": "registry-login", "pull_policy": "Always"},
    "platform": {"pod_labels": {"example.org/team": "eclss", "empty": ""}, "pod_annotations": {"note": "any text; {}"}},
    "resources": {
        "training": {
            "cpu": "1",
            "memory": "2Gi",
            "node_selector": {"pool": "gpu"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                {"key": "spot", "value": "yes", "effect": "NoExecute", "toleration_seconds": 60},
                {"operator": "Exists"},
            ],
        }
    },
}
PATHS = {"archives": "s3://a/b", "reports": "s3://a/r.csv"}


def test_what_a_site_asks_of_pods_reaches_them(tmp_path: Path) -> None:
    settings = load_settings(write_toml(tmp_path / "c.toml", {"paths": PATHS, **SITE}))
    training, light = (settings.pods(kind) for kind in (settings.resources.training, settings.resources.light))
    for pods in (training, light):
        assert (pods.image_pull_secret, pods.image_pull_policy) == ("registry-login", "Always")
        assert pods.pod_labels == SITE["platform"]["pod_labels"]
        assert pods.pod_annotations == {"note": "any text; {}"}
    assert training.node_selector == {"pool": "gpu"}
    assert [toleration.key for toleration in training.tolerations] == ["nvidia.com/gpu", "spot", ""]
    assert (light.node_selector, light.tolerations) == ({}, ())  # trainings alone are placed
    assert PodSettings.model_validate_json(training.model_dump_json()) == training


TRAINING = ("resources", "training")


@pytest.mark.parametrize(
    ("place", "key", "value", "named"),
    [
        (("image",), "pull_secret", "Registry_Login", "'Registry_Login' is not a valid name of a Secret"),
        (("platform",), "pod_labels", {"team": "a b"}, "'a b' is not a valid value of a label"),
        (("platform",), "pod_labels", {"team": "x" * 64}, "is not a valid value of a label"),
        (("platform",), "pod_labels", {"/team": "a"}, "'/team' is not a valid key"),
        (("platform",), "pod_labels", {"a/b/c": "a"}, "'a/b/c' is not a valid key"),
        (("platform",), "pod_labels", {"x" * 64: "a"}, "is not a valid key"),
        (("platform",), "pod_labels", {"": "a"}, "'' is not a valid key"),
        (("platform",), "pod_labels", {"pipeline/runid": "a"}, "'pipeline/runid' is set by the pipeline"),
        (("platform",), "pod_labels", {"katib.kubeflow.org/trial": "a"}, "is set by the pipeline or by Kubeflow"),
        (("platform",), "pod_labels", ["a"], "valid dictionary"),
        (("platform",), "pod_annotations", {"sidecar.istio.io/inject": "true"}, "is set by the pipeline"),
        (("platform",), "pod_annotations", {"serving.kserve.io/x": "true"}, "is set by the pipeline or by Kubeflow"),
        (("platform",), "pod_annotations", {"note": 3}, "valid string"),
        (("platform",), "pod_annotations", {"note": "x" * 2**18}, "Kubernetes allows 262144"),
        (TRAINING, "node_selector", {"pool": "a/b"}, "'a/b' is not a valid value of a label"),
        (TRAINING, "tolerations", {"key": "a"}, "valid tuple"),
        (TRAINING, "tolerations", [{"key": "a", "colour": "red"}], "is not a known key"),
        (TRAINING, "tolerations", [{"key": "a b", "operator": "Exists"}], "'a b' is not a valid key"),
        (TRAINING, "tolerations", [{"key": "a", "operator": "In"}], "'Equal' or 'Exists'"),
        (TRAINING, "tolerations", [{"key": "a", "effect": "Never"}], "'NoSchedule'"),
        (TRAINING, "tolerations", [{"value": "a"}], "without a key every taint is tolerated"),
        (TRAINING, "tolerations", [{"key": "a", "operator": "Exists", "value": "b"}], "Exists takes no value"),
        (TRAINING, "tolerations", [{"key": "a", "toleration_seconds": 5}], "toleration_seconds needs effect"),
    ],
)
def test_what_kubernetes_would_refuse_of_pods(
    place: tuple[str, ...], key: str, value: Any, named: str, tmp_path: Path
) -> None:
    changed: dict[str, Any] = copy.deepcopy({"paths": PATHS, **SITE})
    section = changed
    for part in place:
        section = section[part]
    section[key] = value
    with pytest.raises(InputError, match=rf"c\.toml: key '{'.'.join((*place, key))}.*{re.escape(named)}"):
        load_settings(write_toml(tmp_path / "c.toml", changed))
