from pathlib import Path

import numpy as np
import pytest

from container_component_src.errors import InputError
from container_component_src.serving.deployment.preparation import make_service
from container_component_src.serving.deployment.smoke_test import SAMPLE_ROWS
from tests.serving.bundles import CHANNELS, SCALER, make_bundle, write_test_dataset


def test_the_smoke_request_holds_the_first_test_rows_in_engineering_units(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    dataset = write_test_dataset(tmp_path / "test")
    service = make_service(str(tmp_path / "bundle"), str(tmp_path / "test"), "eclss")
    scaled = dataset.load().values[:SAMPLE_ROWS]
    sent = np.array([[row[name] for name in CHANNELS] for row in service.smoke_request.instances])
    np.testing.assert_allclose(sent, SCALER.inverse_transform(scaled), rtol=1e-6)
    np.testing.assert_allclose(service.smoke_request.scores, bundle.scorer.scores(scaled), rtol=1e-2)
    assert service.model_version == bundle.info.version


def test_test_data_of_another_model_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "test", channels=(*CHANNELS[:2], "pump"))
    with pytest.raises(InputError, match="fan_speed"):
        make_service(str(tmp_path / "bundle"), str(tmp_path / "test"), "eclss")
