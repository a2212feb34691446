"""The comparison of a new model, the challenger, with the deployed one, the champion."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator

from container_component_src.names import OptionalUri
from container_component_src.steps.declaration import Arguments, input_artifact, output_file, parameter, wired
from container_component_src.steps.drift import DriftLimits
from container_component_src.steps.serving import ServiceIdentity
from container_component_src.steps.shared import MOST_HOURS, Place
from container_component_src.values import NonEmpty

DEPLOYED, NONE = "deployed", "none"  # values of `champion` that are no URIs
_MOST_DAYS = MOST_HOURS / 24

Champion = Annotated[OptionalUri, AfterValidator(lambda value: value or NONE)]


class PromotionLimits(Arguments):
    """The conditions under which a challenger replaces the champion."""

    min_gain: float = parameter(
        "Gain in composite F1 over the deployed model above which the whole 95 % interval must lie, for a new model to "
        "replace it.",
        0.0,
        ge=-1,
        le=1,
    )
    max_loss: float = parameter(
        "Most composite F1 that a new model may lose against a deployed one whose data has drifted, and still replace "
        "it, unless the loss is beyond the uncertainty.",
        0.02,
        ge=0,
        le=1,
    )


class CompareModels(PromotionLimits, DriftLimits, ServiceIdentity, Place):
    """Arguments of `compare_models`."""

    command: ClassVar[str] = "compare_models"
    results: ClassVar[dict[str, type]] = {"promoted": bool, "promotion_reason": str}

    bundle_path: NonEmpty = input_artifact("The new model bundle, calibrated.", "calibrated_model", "Model")
    test_df_path: NonEmpty = wired("The labelled test set, not scaled: each model scales it by its own scaler.")
    df_path: str = wired(
        "The dataset before the split, whose last rows show whether the data of the deployed model has drifted. Empty: "
        "that is not checked.",
        "",
    )
    gate_path: str = input_artifact(
        "JSON file of the gate, which the new model must pass. Empty: it is not asked.", "gate", default=""
    )
    champion: Champion = parameter(
        f"Bundle that the new model is compared with: `{DEPLOYED}` for that of the service, `{NONE}` for no "
        "comparison, or a URI.",
        DEPLOYED,
    )
    comparison_days: float = parameter(
        "Compare on the last days of the test set only; 0: on all of it.", 0.0, ge=0, le=_MOST_DAYS
    )
    drift_days: float = parameter(
        "Last days of the telemetry that are compared with the training data of the deployed model.",
        30.0,
        gt=0,
        le=_MOST_DAYS,
    )
    max_drifted_channels: int = parameter(
        "Most channels that may have drifted since the training of the deployed model, before its data counts as "
        "drifted.",
        0,
        ge=0,
    )
    comparison_path: NonEmpty = output_file("JSON file of the comparison.", "comparison")
