import numpy as np

from container_component_src.serving.protocol.rows import scaled
from tests.serving.bad_requests import LIST
from tests.serving.bundles import CHANNELS, SCALER


def test_rows_are_scaled_as_the_training_data() -> None:
    values = scaled(np.array([LIST, LIST]), CHANNELS, SCALER)
    np.testing.assert_array_equal(values, np.array([[-0.25, 1.0, 0.25]] * 2, dtype=np.float32))


def test_without_a_scaler_values_do_not_change() -> None:
    values = scaled(np.array([LIST]), CHANNELS, scaler=None)
    np.testing.assert_array_equal(values, np.array([LIST], dtype=np.float32))
