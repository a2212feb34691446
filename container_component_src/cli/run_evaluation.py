"""`run_evaluation`: how well the scores of a model separate anomalies from normal operation."""

import os

from container_component_src.cli.declared import step_command
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.evaluation import RunEvaluation


@step_command(RunEvaluation)
def run_evaluation(arguments: RunEvaluation, executor_input: str) -> None:
    """Score the test set, and compare its scores and alarms with the reported anomalies."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.evaluation.evaluator import evaluate
    from container_component_src.evaluation.metadata import classification_metadata, evaluation_metadata
    from container_component_src.report.headline import headline
    from container_component_src.telemetry.dataset import Dataset

    scores = place(arguments.scores_path, arguments.data_root, arguments.command, "scores")
    result = evaluate(
        arguments.bundle_path,
        arguments.calibration_df_path,
        arguments.test_df_path,
        scores,
        arguments.train_df_path,
        arguments.baseline_window_steps,
        arguments.alarms_path,
    )
    result = result.model_copy(update={"run_id": os.environ.get(RUN_ID_VARIABLE, "")})
    result.write(arguments.evaluation_path)
    outputs.publish(
        executor_input,
        parameters={"composite_f1": result.calibrated.composite_f1, "headline": "\n".join(headline(result))},
        artifacts={
            "evaluation": evaluation_metadata(result),
            "alarms": {"alarms": result.calibrated.alarms, "false_alarms": result.calibrated.false_alarms},
            "metrics": result.scalars(),
            "classification": classification_metadata(result),
        },
        datasets={"scores": Dataset.open(result.scores_uri)},
    )
