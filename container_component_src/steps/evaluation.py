"""The evaluation, its report, and the gate of the deployment."""

from typing import ClassVar

from container_component_src.steps.declaration import (
    Arguments,
    ArtifactKind,
    input_artifact,
    output_dataset,
    output_file,
    parameter,
    wired,
)
from container_component_src.steps.shared import DataRoot
from container_component_src.values import NonEmpty

BASELINE_WINDOW_STEPS = 5  # see docs/results.md


class RunEvaluation(DataRoot):
    """Arguments of `run_evaluation`."""

    command: ClassVar[str] = "run_evaluation"
    results: ClassVar[dict[str, type]] = {"composite_f1": float, "headline": str}
    artifacts: ClassVar[dict[str, ArtifactKind]] = {
        "metrics": "Metrics",
        "classification": "ClassificationMetrics",
    }

    bundle_path: NonEmpty = input_artifact("The calibrated model bundle.", "calibrated_model", "Model")
    calibration_df_path: NonEmpty = wired("The scaled calibration set.")
    test_df_path: NonEmpty = wired("The scaled, labelled test set.")
    train_df_path: str = wired("The scaled training set, on which the baselines are fitted. Empty: no baselines.", "")
    baseline_window_steps: int = parameter(
        "Time steps that the windowed baselines see at once, the current one included.", BASELINE_WINDOW_STEPS, ge=1
    )
    scores_path: str = output_dataset("Folder of the dataset with the scores of the test set.", "scores")
    evaluation_path: NonEmpty = output_file("JSON file of the evaluation.", "evaluation")
    alarms_path: NonEmpty = output_file(
        "File of the alarms on the test set: a JSON object a line, or CSV if the name ends with .csv.", "alarms"
    )


class GateLimits(Arguments):
    """The conditions under which the pipeline deploys a model."""

    min_composite_f1: float = parameter(
        "Least composite F1 at the calibrated threshold with which a model is deployed; above 1, none is.", 0.3, ge=0
    )
    max_false_alarms_per_day: float = parameter(
        "Most false alarms a day at the calibrated threshold with which a model is deployed; 0: no limit.", 0.0, ge=0
    )
    beat_baselines: bool = parameter(
        "Whether a model is deployed only if it beats every baseline: in PR AUC, and in composite F1 at the calibrated "
        "thresholds.",
        False,
    )


class CheckGate(GateLimits):
    """Arguments of `check_gate`."""

    command: ClassVar[str] = "check_gate"
    results: ClassVar[dict[str, type]] = {"passed": bool, "reason": str}

    evaluation_path: NonEmpty = input_artifact("JSON file of the evaluation.", "evaluation")
    gate_path: NonEmpty = output_file("JSON file of the conditions and whether the model meets them.", "gate")


class VisualizeResults(Arguments):
    """Arguments of `visualize_results`."""

    command: ClassVar[str] = "visualize_results"

    df_path: NonEmpty = wired("The dataset before the split.")
    train_df_path: NonEmpty = wired("Its training set, not scaled.")
    val_df_path: NonEmpty = wired("Its validation set, not scaled.")
    calibration_df_path: NonEmpty = wired("Its calibration set, not scaled.")
    test_df_path: NonEmpty = wired("Its test set, not scaled.")
    scores_path: NonEmpty = wired("The dataset of scores that the evaluation wrote.")
    evaluation_path: NonEmpty = input_artifact("JSON file of the evaluation.", "evaluation")
    alarms_path: NonEmpty = input_artifact("File of the alarms that the evaluation found.", "alarms")
    bundle_path: NonEmpty = input_artifact("The evaluated model bundle.", "calibrated_model", "Model")
    gate_path: str = input_artifact(
        "JSON file of the gate. Empty: the report does not say whether the model is deployed.", "gate", default=""
    )
    comparison_path: str = input_artifact(
        "JSON file of the comparison with the deployed model. Empty: the report does not compare them.",
        "comparison",
        default="",
    )
    run_path: str = input_artifact(
        "JSON file of what identifies the run. Empty: the report does not say of which run it is.", "run", default=""
    )
    trials_path: str = input_artifact("CSV table of the tuning trials. Empty: no tuning.", "trials", default="")
    report_path: NonEmpty = output_file("HTML file of the report.", "report", "HTML")
