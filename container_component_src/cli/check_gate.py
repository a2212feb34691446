"""`check_gate`: whether an evaluated model is good enough to be deployed."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.evaluation import CheckGate, GateLimits


@step_command(CheckGate)
def check_gate(arguments: CheckGate, executor_input: str) -> None:
    """Compare the evaluation with the conditions of the deployment, and say which fail by how much."""
    from container_component_src import outputs
    from container_component_src.evaluation import gate

    result = gate.check_gate(arguments.evaluation_path, arguments.part(GateLimits))
    result.write(arguments.gate_path)
    outputs.publish(
        executor_input,
        parameters={"passed": result.passed, "reason": result.reason},
        artifacts={"gate": result.metadata()},
    )
