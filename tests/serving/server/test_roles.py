"""A damaged bundle is never served, and no code in it is ever run."""

import hashlib
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import INFO_NAME, WEIGHTS_NAME, BundleInfo
from container_component_src.serving.server.roles import Role, RowService, ServingOptions, load
from container_component_src.steps.serving import Server
from tests.serving.bundles import bundle_info, make_bundle

EXAMPLES = 200


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def load_from(folder: Path, role: Role = Role.COMBINED) -> RowService:
    return load(ServingOptions(role, Server(model_dir=str(folder))))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Path]:
    """The files of a bundle, and a folder to write changed ones to."""
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder)
    files = {name: (folder / name).read_bytes() for name in (INFO_NAME, WEIGHTS_NAME)}
    return files, folder


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str, float, bytes]:
    """File, kind of change, its place as a share of the file, and bytes."""
    name = draw(st.sampled_from([INFO_NAME, WEIGHTS_NAME]))
    kind = draw(st.sampled_from(["replace", "insert", "cut", "all"]))
    place = draw(st.floats(0, 1, exclude_max=True))
    json_parts = st.text('019.{}[]",:ae-', min_size=1, max_size=8).map(str.encode)
    return name, kind, place, draw(st.binary(min_size=1, max_size=8) | json_parts)


def changed(content: bytes, kind: str, place: float, new: bytes) -> bytes:
    start = int(place * len(content))
    match kind:
        case "replace":
            return content[:start] + new + content[start + len(new) :]
        case "insert":
            return content[:start] + new + content[start:]
        case "cut":
            return content[:start]
        case _:
            return new


@settings(max_examples=EXAMPLES)
@given(change=changes())
def test_a_modified_bundle_is_not_served(
    bundle: tuple[dict[str, bytes], Path], change: tuple[str, str, float, bytes]
) -> None:
    files, folder = bundle
    name, kind, place, new = change
    written = {**files, name: changed(files[name], kind, place, new)}
    for file, content in written.items():
        (folder / file).write_bytes(content)
    try:
        service = load_from(folder)
    except InputError:
        return
    # What is left is the same JSON laid out differently.
    assert written[WEIGHTS_NAME] == files[WEIGHTS_NAME]
    assert service.info == BundleInfo.model_validate_json(files[INFO_NAME])


INFO = bundle_info()
CALIBRATION = INFO.calibrated
NO_WINDOW = CALIBRATION.settings.model_copy(update={"smoothing_window": 0})
WRONG = {
    "no channels": {"channels": ()},
    "a channel twice": {"channels": ("cabin_pressure", "cabin_pressure", "fan_speed")},
    "channels of another scaler": {"channels": ("a", "b", "c")},
    "contributions of other channels": {"calibration": CALIBRATION.model_copy(update={"channel_nats": (1.0, 2.0)})},
    "no window": {"calibration": CALIBRATION.model_copy(update={"settings": NO_WINDOW})},
    "no latent": {"architecture": INFO.architecture.model_copy(update={"latent_dim": -1})},
    "beyond all sizes": {"architecture": INFO.architecture.model_copy(update={"hidden_dims": (2**70, 4)})},
    "beyond memory": {"architecture": INFO.architecture.model_copy(update={"hidden_dims": (2**20, 2**20)})},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_impossible_description_with_a_valid_digest_is_refused(
    wrong: dict[str, object], bundle: tuple[dict[str, bytes], Path], tmp_path: Path
) -> None:
    files, _ = bundle
    info = BundleInfo.model_validate_json(files[INFO_NAME]).model_copy(update=wrong).with_version()
    (tmp_path / WEIGHTS_NAME).write_bytes(files[WEIGHTS_NAME])
    (tmp_path / INFO_NAME).write_bytes(info.model_dump_json(warnings=False).encode())
    with pytest.raises(InputError, match=r"damaged model bundle|do not fit the architecture"):
        load_from(tmp_path)


@pytest.mark.parametrize("role", [Role.PREDICTOR, Role.COMBINED])
def test_a_pickle_with_a_valid_digest_is_not_loaded(role: Role, tmp_path: Path) -> None:
    marker = tmp_path / "run"
    weights = pickle.dumps(Payload(marker))
    info = bundle_info().model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()}).with_version()
    folder = storage.resolve(str(tmp_path / "bundle"))
    (folder / WEIGHTS_NAME).write_bytes(weights)
    (folder / INFO_NAME).write_bytes(info.model_dump_json().encode())
    with pytest.raises(InputError, match="do not fit the architecture"):
        load_from(tmp_path / "bundle", role)
    assert not marker.exists()
    pickle.loads(weights)
    assert marker.exists()


def test_a_bundle_in_a_bucket_is_served(bucket: str, tmp_path: Path) -> None:
    made = make_bundle(tmp_path)
    for name in (INFO_NAME, WEIGHTS_NAME):
        storage.resolve(f"{bucket}/models/{name}").write_bytes((tmp_path / name).read_bytes())
    for role in Role:
        assert load(ServingOptions(role, Server(model_dir=f"{bucket}/models"))).info == made.info
    storage.resolve(f"{bucket}/models/{WEIGHTS_NAME}").write_bytes(b"")
    with pytest.raises(InputError, match="SHA-256 differs"):
        load(ServingOptions(Role.PREDICTOR, Server(model_dir=f"{bucket}/models")))
