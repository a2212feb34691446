"""A served model in this process."""

import sys
from pathlib import Path
from typing import Any
from unittest import mock

from container_component_src.model.bundle import Bundle
from container_component_src.serving.server.roles import Role, RowService, ServingOptions
from container_component_src.serving.server.scorers import LocalScorer
from container_component_src.steps.serving import ServePredictor
from tests.serving.bundles import make_bundle

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server.model import AnomalyModel

DEAD_AFTER = 3.0  # seconds


def make_model(folder: Path, impute: bool = False, role: Role = Role.COMBINED, **bundle: Any) -> AnomalyModel:
    """A model that is ready, of a bundle with these settings, which is written to the folder."""
    made = make_bundle(folder, **bundle)
    info = made.info.model_copy(update={"impute_missing": impute})
    options = ServingOptions(role, ServePredictor(model_dir=str(folder), model_name="eclss", dead_after=DEAD_AFTER))
    model = AnomalyModel(RowService(options, info, LocalScorer(Bundle(info, made.model))), mock.Mock())
    model.ready = True
    return model
