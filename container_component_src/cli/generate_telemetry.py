"""`generate_telemetry`: example archives and anomaly reports."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.maintenance import GenerateTelemetry


@step_command(GenerateTelemetry)
def generate_telemetry(arguments: GenerateTelemetry) -> None:
    """Generate two yearly archives of a life-support system and the reports of its anomalies."""
    from container_component_src import outputs
    from container_component_src.example_data import ExampleDataSpec, generate

    spec = ExampleDataSpec(
        seed=arguments.seed, rows=arguments.rows, channels=arguments.channels, anomalies=arguments.anomalies
    )
    generated = generate(arguments.target_path, spec, arguments.timestamp_col)
    archives = [str(archive) for archive in generated.archives]
    outputs.publish("", parameters={"archives": archives, "reports": str(generated.reports)})
