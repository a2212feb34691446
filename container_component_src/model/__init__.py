"""The model: training, scoring and its file format."""

from container_component_src import limits  # noqa: F401 - it measures the load while the other imports take their time
from container_component_src.model import lightning_hooks

lightning_hooks.install()  # before any module of this package imports Lightning
