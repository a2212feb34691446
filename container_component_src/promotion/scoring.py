"""Alarms of a model on rows that are not scaled: the model scales them by its own scaler."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from container_component_src.errors import InputError
from container_component_src.evaluation.bootstrap import Resamples, intervals, resample
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import metrics_at, pr_auc, roc_auc
from container_component_src.model.bundle import Bundle
from container_component_src.model.scoring import scored_frames
from container_component_src.promotion.result import ComparedModel
from container_component_src.storage import Location
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY


@dataclass(frozen=True)
class ModelRows:
    """Rows of a dataset as a model takes them: its channels in its order, scaled.

    Attributes:
        dataset: Dataset that is not scaled.
        channels: Channels of the model.
        scaler: Its scaler; None: the model takes the values as they are.
        since: Time of the first row, nanoseconds since 1970 UTC.
    """

    dataset: Dataset
    channels: tuple[str, ...]
    scaler: Scaler | None
    since: int

    @property
    def location(self) -> Location:
        """Folder of the dataset."""
        return self.dataset.location

    def frames(self) -> Iterator[Frame]:
        """Yield the rows of each partition, in order of time."""
        for partition in self.dataset.manifest.partitions:
            if partition.end < self.since:
                continue
            frame = self.dataset.read(partition, self.channels)
            if partition.start < self.since:
                frame = frame.where(frame.timestamps >= self.since)
            if self.scaler:
                self.scaler.transform(frame.values, out=frame.values)
            yield frame


def last_days(dataset: Dataset, days: float) -> int:
    """Return when the last days of a dataset begin, nanoseconds since 1970 UTC; 0 days: its first row."""
    partitions = dataset.manifest.partitions
    return partitions[-1].end - round(days * NANOSECONDS_PER_DAY) if days else partitions[0].start


@dataclass(frozen=True)
class ScoredModel:
    """A model with its alarms on labelled rows."""

    uri: str
    bundle: Bundle
    alarms: FoundAlarms
    resamples: Resamples | None  # None if there is a single block of events

    def summary(self) -> ComparedModel:
        """Return what the result of the comparison says of the model."""
        data = self.alarms.data
        return ComparedModel(
            bundle=self.uri,
            version=self.bundle.info.version,
            metrics=metrics_at(self.alarms),
            roc_auc=roc_auc(data),
            pr_auc=pr_auc(data),
            intervals=intervals(self.alarms, self.resamples),
            detected=tuple(self.alarms.detected.tolist()),
        )


def score_model(uri: str, bundle: Bundle, test: Dataset, since: int, seed: int) -> ScoredModel:
    """Score rows by a calibrated model, and find its alarms.

    Args:
        uri: URI of the bundle.
        bundle: The bundle.
        test: Labelled dataset, not scaled; it may have more channels than the model.
        since: Time of the first row, nanoseconds since 1970 UTC.
        seed: Seed of the resamples; the same seed draws the same events for any model.

    Raises:
        InputError: The data lacks a channel of the model, a score is not finite, or the rows cannot be evaluated.
    """
    info = bundle.info
    if lacking := [name for name in info.channels if name not in test.channels]:
        more = f" and {len(lacking) - 1} more of its channels" if len(lacking) > 1 else ""
        raise InputError(f"{test.location.uri} lacks channel '{lacking[0]}'{more} of the model {uri}")
    rows = ModelRows(test, info.channels, info.scaler, since)
    frames = scored_frames(bundle.for_many_rows().scorer, info.smoother(), rows)
    scored = [(item.frame.timestamps, item.smoothed, item.frame.labels) for item in frames]
    timestamps, smoothed, labels = (np.concatenate(parts) for parts in zip(*scored, strict=True))
    data = LabelledScores(timestamps, smoothed, labels, test.manifest.events, test.manifest.rare_nominal)
    alarms = FoundAlarms.by(info.calibrated.rule, data)
    return ScoredModel(uri, bundle, alarms, resample(alarms.data, seed, alarms))
