"""Choice among the detectors of an ensemble, without a known anomaly."""

import logging
from dataclasses import dataclass, field

import numpy as np
import torch

from container_component_src.arrays import Float32Array
from container_component_src.model.ensemble import Ensemble
from container_component_src.model.synthetic_anomalies import Injection, inject
from container_component_src.model.windows import Windowing
from container_component_src.steps.calibration import AlarmSettings
from container_component_src.steps.sizes import BLOCK_ROWS
from container_component_src.steps.training import Detector
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.smoothing import Smoother

BALANCED_QUANTILE = 0.99  # of a member's scores, whose distance from the median is their spread
INJECTIONS = 3
MIN_ROWS = 200  # with fewer there is too little room for anomalies
_MOST_ROWS = 50_000
_MOST_VALUES = 10_000_000  # keeps the copies of data with many channels within some hundred megabytes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """The detector that found synthetic anomalies best.

    Attributes:
        detector: Its name: a member's, or `ensemble`.
        average_precision: Mean over the injections, by candidate; empty if there was nothing to compare.
    """

    detector: str
    average_precision: dict[str, float] = field(default_factory=dict)


def balance(ensemble: Ensemble, val: Dataset, windowing: Windowing) -> None:
    """Set the weights of an ensemble such that the scores of all members have the same spread.

    The spread is the distance from the median to the quantile 0.99 of the validation scores. A member whose scores have
    none gets no weight, unless no member has one: then their weights are equal.

    Args:
        ensemble: Trained ensemble.
        val: Scaled validation set of the channels that vary; one score of each row and member is kept in memory.
        windowing: Conversion of its rows to windows.
    """
    scores = np.concatenate([member_scores(ensemble, frame, windowing) for frame in val.frames()], axis=1)
    middle, high = np.quantile(scores.astype(np.float64), [0.5, BALANCED_QUANTILE], axis=1)
    spread = high - middle
    weights = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    if not weights.any():
        weights[:] = 1
    ensemble.weights.copy_(torch.from_numpy(weights / weights.sum()))


def select(
    ensemble: Ensemble,
    val: Dataset,
    windowing: Windowing,
    seed: int,
) -> Selection:
    """Choose the ensemble or one of its members, whichever finds synthetic anomalies in validation data best.

    Args:
        ensemble: Trained ensemble with balanced weights.
        val: Scaled validation set of the channels that vary, of which the first rows are read.
        windowing: Conversion of its rows to windows.
        seed: Seed of the anomalies.

    Returns:
        The candidate with the highest mean average precision, the ensemble if others have the same; the VAE if the
        validation set is too small.
    """
    frame = first_rows(val, min(_MOST_ROWS, _MOST_VALUES // len(val.channels)))
    starts, found = windowing.starts(frame.timestamps), []
    for number in range(INJECTIONS if len(frame) >= MIN_ROWS else 0):
        injection = inject(frame.values, starts, [seed, number])
        if injection.labels.any():
            found.append(_average_precision(ensemble, frame, injection, windowing))
    if not found:
        logger.warning("%d validation rows have no room for synthetic anomalies: the detector is the VAE", len(frame))
        return Selection(Detector.VAE)
    names = map(str, (Detector.ENSEMBLE, *ensemble.members()))
    means = dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))
    chosen = max(means, key=lambda name: means[name])  # the first one of equals
    precisions = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
    logger.info("average precision on synthetic anomalies: %s; the detector is the %s", precisions, chosen)
    return Selection(chosen, means)


def _average_precision(
    ensemble: Ensemble,
    frame: Frame,
    injection: Injection,
    windowing: Windowing,
) -> list[float]:
    """Return the average precision of the ensemble and of each member."""
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - slow, and only where detectors are compared

    scores = member_scores(ensemble, Frame(frame.timestamps, injection.values), windowing)
    weights, compared = ensemble.weights.cpu().numpy(), ~injection.left_out
    smoothed = (_smoother(windowing).push(frame.timestamps, row) for row in (weights @ scores, *scores))
    return [float(average_precision_score(injection.labels[compared], row[compared])) for row in smoothed]


def _smoother(windowing: Windowing) -> Smoother:
    """Return a smoother of scores as a calibration smooths them by default."""
    settings = AlarmSettings()
    return Smoother(settings.smoothing, settings.smoothing_window, windowing.max_gap_ns)


@torch.inference_mode()
def member_scores(ensemble: Ensemble, frame: Frame, windowing: Windowing) -> Float32Array:
    """Return the score of each time step by each member in nats, [members, rows]; infinite ones become large numbers.

    Args:
        ensemble: Trained ensemble.
        frame: Scaled rows of the channels that vary.
        windowing: Conversion of the rows to windows.
    """
    batches = []
    for windows in windowing.batches(frame.values, frame.timestamps, BLOCK_ROWS):
        values = torch.from_numpy(np.ascontiguousarray(windows)).to(ensemble.weights.device)
        batches.append(torch.stack([member(values)[0].sum(dim=1) for member in ensemble.members().values()]))
    return np.asarray(torch.cat(batches, dim=1).nan_to_num().cpu().numpy())


def first_rows(dataset: Dataset, rows: int) -> Frame:
    """Return the first rows of a dataset without labels, at most as many as given."""
    timestamps, values, missing = [], [], rows
    for frame in dataset.frames():
        timestamps.append(frame.timestamps[:missing].copy())
        values.append(frame.values[:missing].copy())
        missing -= len(values[-1])
        if not missing:
            break
    return Frame(np.concatenate(timestamps), np.concatenate(values))
