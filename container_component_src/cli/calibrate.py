"""`calibrate`: the alarm threshold of a trained model."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.calibration import Calibrate as CalibrateArguments


@step_command(CalibrateArguments)
def calibrate(arguments: CalibrateArguments, executor_input: str) -> None:
    """Derive the alarm rule of a trained model from scores of normal operation, without training it again."""
    from container_component_src import outputs, storage
    from container_component_src.data_root import place
    from container_component_src.model import calibration
    from container_component_src.model.bundle_info import copy_bundle

    target = place(arguments.calibrated_model_path, arguments.data_root, arguments.command, "calibrated_model")
    info = calibration.calibrate(arguments, target)
    bundle = storage.resolve(target)
    if arguments.data_root and arguments.model_copy_path:
        copy_bundle(bundle, storage.resolve(arguments.model_copy_path))
    outputs.publish(
        executor_input,
        parameters={"calibrated_model_uri": bundle.uri},
        artifacts={"calibrated_model": info.metadata()},
    )
