"""The reports are of evaluations with small forests."""

from tests.evaluation.conftest import small_forests  # noqa: F401
