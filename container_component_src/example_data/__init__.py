"""Reproducible example telemetry of a life-support system, with a table of anomaly reports."""

from container_component_src.example_data.generator import GeneratedData, generate
from container_component_src.example_data.spec import ExampleDataSpec

__all__ = ["ExampleDataSpec", "GeneratedData", "generate"]
