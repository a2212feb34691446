"""Scores of telemetry in engineering units equal those of the scaled dataset."""

from pathlib import Path

import numpy as np
import pytest

from container_component_src.drift.detection import Rows
from container_component_src.drift.scoring import with_scores
from container_component_src.errors import InputError
from container_component_src.model.scoring import scored_frames
from tests.serving.bundles import SCALER, make_bundle, write_test_dataset


def test_scores_are_those_of_the_scaled_dataset(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", smoothing_window=3, window_steps=2)
    dataset = write_test_dataset(tmp_path / "data")
    frame = dataset.load()
    values = SCALER.inverse_transform(frame.values)
    values[4, 1] = np.nan  # counts as the centre
    frame.values[4, 1] = 0
    pieces = [Rows(frame.timestamps[rows], values[rows]) for rows in (slice(0, 7), slice(7, 8), slice(8, 20))]
    found = np.concatenate(
        [rows.smoothed_scores for rows in with_scores(bundle, pieces) if rows.smoothed_scores is not None]
    )
    expected = np.concatenate([item.smoothed for item in scored_frames(bundle.scorer, bundle.info.smoother(), dataset)])
    assert len(found) == 20
    assert np.delete(found, slice(4, 8)) == pytest.approx(np.delete(expected, slice(4, 8)), rel=1e-3)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("second", [0, 1])
def test_telemetry_that_is_not_in_order_is_refused(second: int, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    pieces = [Rows(np.array([time * 10**9]), np.zeros((1, 3))) for time in (1, second)]
    with pytest.raises(InputError, match=f"1970-01-01T00:00:0{second}.* is not later than the one before; sort"):
        list(with_scores(bundle, pieces))
