"""`fit_scaler`: centre and scale of each channel from the training data."""

import click

from container_component_src.cli.options import executor_input_option


@click.command()
@click.option("--train-df-path", required=True, help="The train dataset.")
@click.option(
    "--scaler-type",
    type=click.Choice(["standard", "minmax", "robust"]),
    default="standard",
    show_default=True,
    help="Mean and standard deviation; minimum and range; median and interquartile range.",
)
@click.option("--scaler-path", required=True, help="JSON file of the scaler.")
@executor_input_option
def fit_scaler(train_df_path: str, scaler_type: str, scaler_path: str, executor_input: str) -> None:
    """Fit a scaler; constant channels are named and dropped."""
    from container_component_src import outputs, storage
    from container_component_src.telemetry import scaling
    from container_component_src.telemetry.scaler import ScalerType

    scaler = scaling.fit_scaler(train_df_path, ScalerType(scaler_type))
    storage.resolve(scaler_path).write_bytes(scaler.model_dump_json(indent=1).encode())
    metadata = {"type": scaler_type, "channels": len(scaler.channels), "dropped_channels": list(scaler.dropped)}
    outputs.publish(executor_input, artifacts={"scaler": metadata})
