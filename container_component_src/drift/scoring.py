"""Smoothed scores of telemetry in engineering units, of which values may be missing."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from container_component_src.drift.detection import Rows
from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle
from container_component_src.model.scoring import SeriesScorer
from container_component_src.telemetry.timestamps import to_iso


def with_scores(bundle: Bundle, rows: Iterable[Rows]) -> Iterator[Rows]:
    """Add the smoothed scores, in which missing values count as the centre of their channel.

    Args:
        bundle: A calibrated model.
        rows: Pieces of the telemetry, in order of time.

    Raises:
        InputError: A timestamp is not later than the one before.
    """
    info, scaler = bundle.info, bundle.info.scaler
    series, smoother = SeriesScorer(bundle.scorer), info.smoother()
    before = np.empty(0, dtype=np.int64)
    for piece in rows:
        times = np.concatenate([before, piece.timestamps])
        late = np.flatnonzero(np.diff(times) <= 0)
        if len(late):
            raise InputError(
                f"the row of {to_iso(int(times[late[0] + 1]))} is not later than the one before",
                fix="sort the telemetry by time, or use --skip-scores",
            )
        before = piece.timestamps[-1:]
        values = piece.values.astype(np.float32)
        scaled = np.nan_to_num(values, posinf=0, neginf=0) if scaler is None else scaler.transform(values)
        scores = series.push(piece.timestamps, scaled).sum(axis=1)
        yield replace(piece, smoothed_scores=smoother.push(piece.timestamps, scores))
