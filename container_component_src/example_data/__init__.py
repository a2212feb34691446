"""Deterministic example telemetry of a life-support system, with an anomaly report table."""

from container_component_src.example_data.generator import GeneratedData, generate
from container_component_src.example_data.spec import ExampleDataSpec

__all__ = ["ExampleDataSpec", "GeneratedData", "generate"]
