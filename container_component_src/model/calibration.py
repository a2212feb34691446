"""Calibration of a trained model: its alarm rule, from scores of data on which it was not trained."""

import logging

import numpy as np

from container_component_src import storage
from container_component_src.alarms.calibration import calibrate_rule
from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import BundleInfo, Calibration
from container_component_src.model.frames import open_data
from container_component_src.model.scoring import scored_frames
from container_component_src.steps.calibration import AlarmSettings, Calibrate
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.distribution import Distribution
from container_component_src.telemetry.smoothing import Smoother

_log = logging.getLogger(__name__)


def calibrate(arguments: Calibrate, target: str) -> BundleInfo:
    """Write a copy of a bundle with a new calibration.

    Args:
        arguments: The bundle, the calibration set, and how alarms follow from scores.
        target: Folder of the calibrated bundle.

    Raises:
        InputError: The bundle or the data is missing or damaged, or they do not fit together.
    """
    bundle = Bundle.load(arguments.bundle_path).for_many_rows()
    data = open_data(bundle.info, arguments.calibration_df_path)
    if arguments.impute_missing and bundle.info.scaler is None:
        raise InputError(
            f"{arguments.bundle_path}: trained on values without scaling, so no channel has a centre to impute with",
            fix="scale the data, or use --impute-missing false",
        )
    calibration = _calibration(bundle, data, arguments.part(AlarmSettings), arguments.subsystems)
    info = bundle.info.model_copy(update={"calibration": calibration, "impute_missing": arguments.impute_missing})
    saved = Bundle(info, bundle.model).save(storage.resolve(target))
    rate = calibration.false_alarms_per_day
    _log.info(
        "alarms above %.6g nats until %.6g nats (%s): %s false alarms a day expected",
        calibration.rule.raise_above,
        calibration.rule.clear_below,
        calibration.method,
        f"{rate.low:.2g} to {rate.high:.2g}" if rate else "unknown",
    )
    return saved


def _calibration(bundle: Bundle, data: Dataset, settings: AlarmSettings, subsystems: dict[str, str]) -> Calibration:
    """Score the calibration set, of which one score of each row is kept in memory, and derive the rule."""
    rows, gap = data.manifest.rows, bundle.info.max_gap_ns
    smoother = Smoother(settings.smoothing, settings.smoothing_window, gap)
    timestamps, smoothed = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.float64)
    channel_nats = np.zeros(len(data.channels), dtype=np.float64)
    position = 0
    for scored in scored_frames(bundle.scorer, smoother, data):
        channel_nats += scored.contributions.sum(axis=0, dtype=np.float64)
        piece = slice(position, position + len(scored.frame))
        timestamps[piece], smoothed[piece] = scored.frame.timestamps, scored.smoothed
        position = piece.stop
    found = calibrate_rule(timestamps, smoothed, settings, gap)
    return Calibration(
        settings=settings,
        rule=found.rule,
        method=found.method,
        false_alarms_per_day=found.false_alarms_per_day,
        rows=rows,
        days=found.days,
        highest_median=found.highest_median,
        channel_nats=tuple((channel_nats / rows).tolist()),
        subsystems=subsystems,
        scores=Distribution.of(timestamps, smoothed),
    )
