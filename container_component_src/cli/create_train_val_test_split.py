"""`create_train_val_test_split`: one dataset into three."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import CreateTrainValTestSplit


@step_command(CreateTrainValTestSplit)
def create_train_val_test_split(arguments: CreateTrainValTestSplit, executor_input: str) -> None:
    """Write the time around anomalies as the test set, and blocks of the rest as training and validation sets."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry.split import split_dataset

    paths = {"train": arguments.train_df_path, "val": arguments.val_df_path, "test": arguments.test_df_path}
    targets = {name: place(path, arguments.data_root, arguments.command, name) for name, path in paths.items()}
    datasets = split_dataset(arguments.df_path, arguments.labels_path, targets, arguments)
    outputs.publish(executor_input, datasets=datasets)
