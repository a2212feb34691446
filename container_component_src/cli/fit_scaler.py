"""`fit_scaler`: centre and scale of each channel from the training set."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import FitScaler


@step_command(FitScaler)
def fit_scaler(arguments: FitScaler, executor_input: str) -> None:
    """Fit a scaler; constant channels are named in its metadata, and watched for departures."""
    from container_component_src import outputs, storage
    from container_component_src.telemetry import scaling

    scaler = scaling.fit_scaler(arguments.train_df_path, arguments.scaler_type)
    storage.resolve(arguments.scaler_path).write_bytes(scaler.model_dump_json(indent=1).encode())
    metadata = {
        "type": arguments.scaler_type.value,
        "channels": len(scaler.channels),
        "constant_channels": list(scaler.constant),
        "absent_channels": list(scaler.absent),
    }
    outputs.publish(executor_input, artifacts={"scaler": metadata})
