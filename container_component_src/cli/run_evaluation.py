"""`run_evaluation`: how well the scores of a model tell anomalies apart."""

import click

from container_component_src.cli.options import data_root_option, executor_input_option


@click.command()
@click.option("--bundle-path", required=True, help="The model bundle.")
@click.option("--val-df-path", required=True, help="The scaled validation dataset.")
@click.option("--test-df-path", required=True, help="The scaled, labelled test dataset.")
@click.option("--train-df-path", default="", help="The scaled training dataset: baselines are fitted on it.")
@click.option("--scores-path", required=True, help="Folder of the dataset with the scores of the test rows.")
@data_root_option
@click.option("--evaluation-path", required=True, help="JSON file of the evaluation.")
@executor_input_option
def run_evaluation(
    bundle_path: str,
    val_df_path: str,
    test_df_path: str,
    train_df_path: str,
    scores_path: str,
    data_root: str,
    evaluation_path: str,
    executor_input: str,
) -> None:
    """Score the test data and judge the scores against the reported anomalies."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.evaluation.evaluator import evaluate
    from container_component_src.evaluation.metadata import classification_metadata, evaluation_metadata
    from container_component_src.telemetry.dataset import Dataset

    scores = place(scores_path, data_root, "run_evaluation", "scores")
    result = evaluate(bundle_path, val_df_path, test_df_path, scores, train_df_path)
    result.write(evaluation_path)
    outputs.publish(
        executor_input,
        parameters={"composite_f1": result.calibrated.composite_f1},
        artifacts={
            "evaluation": evaluation_metadata(result),
            "metrics": result.scalars(),
            "classification": classification_metadata(result),
        },
        datasets={"scores": Dataset.open(result.scores_uri)},
    )
