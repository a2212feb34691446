"""Fitting the scaler on the training data, and scaling datasets partition by partition.

The fit ignores missing values (null, NaN or infinite). In the scaled dataset they become 0, the channel's centre, and
its manifest has their number per channel. A constant channel has no scale of its own: it is scaled by its resolution,
see `resolution`. Channels without any value in the training data are dropped.
"""

import logging
from collections.abc import Mapping

import numpy as np

from container_component_src import storage
from container_component_src.ahead import ahead
from container_component_src.arrays import BoolArray, Float32Array, Float64Array, IntArray
from container_component_src.errors import InputError
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.columns import check_same_channels
from container_component_src.telemetry.dataset import Dataset, read_together
from container_component_src.telemetry.dataset_writer import writing
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.write_behind import WriteBehind

logger = logging.getLogger(__name__)

BLOCK_ROWS = 2_048  # rows at a time; their deviations fit into the processor's cache
CHANNELS_AT_ONCE = 64  # to fit: larger arrays take a third longer, since the kernel makes room for huge pages
QUANTILE_VALUES = 1 << 26  # values in memory at a time for exact quantiles (256 MiB)
NOISE_STEPS = 8  # float32 steps within which the values of a constant channel may differ
_RELATIVE_RESOLUTION, _WHOLE_RESOLUTION, _SMALLEST = 0.01, 0.1, 1e-6  # see `resolution`


class Moments:
    """Moments and range of each channel, accumulated partition by partition.

    Means and squared deviations are merged by the formulas of Chan, Golub & LeVeque 1979, "Updating Formulae and a
    Pairwise Algorithm for Computing Sample Variances", which stay precise for channels with a large offset.

    Attributes:
        count: Finite values, shape [channels].
        mean: Shape [channels].
        squares: Sum of squared deviations from the mean, shape [channels].
        minimum: Shape [channels].
        maximum: Shape [channels].
    """

    def __init__(self, channels: int) -> None:
        self.count = np.zeros(channels, dtype=np.int64)
        self.mean = np.zeros(channels)
        self.squares = np.zeros(channels)
        self.minimum = np.full(channels, np.inf)
        self.maximum = np.full(channels, -np.inf)

    @classmethod
    def of(cls, dataset: Dataset) -> "Moments":
        """Return the moments of all channels of a dataset, of which some are read at a time."""
        channels = dataset.channels
        moments = cls(len(channels))
        for first in range(0, len(channels), CHANNELS_AT_ONCE):
            some = slice(first, first + CHANNELS_AT_ONCE)
            found = cls(len(channels[some]))
            for frame in dataset.frames(channels[some], "F"):
                found.add(frame.values)
            for name, values in vars(found).items():
                vars(moments)[name][some] = values
        return moments

    def add(self, values: Float32Array) -> None:
        """Add the finite ones of values of shape [rows, channels]."""
        for first in range(0, len(values), BLOCK_ROWS):
            self._merge(values[first : first + BLOCK_ROWS])

    def _merge(self, values: Float32Array) -> None:
        minimum, maximum = values.min(axis=0), values.max(axis=0)
        count = np.full(values.shape[1], len(values))
        deviations = values.astype(np.float64)
        missing = None
        if not (np.isfinite(minimum) & np.isfinite(maximum)).all():  # one missing value makes one of them not finite
            missing = ~np.isfinite(values)
            count -= missing.sum(axis=0)
            deviations[missing] = 0
            known = np.where(missing, np.nan, values)
            minimum, maximum = np.fmin.reduce(known, axis=0), np.fmax.reduce(known, axis=0)  # they ignore NaN
        mean = deviations.sum(axis=0) / np.maximum(count, 1)
        deviations -= mean
        if missing is not None:
            deviations[missing] = 0
        total = np.maximum(self.count + count, 1)
        step = mean - self.mean
        self.squares += np.einsum("ij,ij->j", deviations, deviations) + step**2 * self.count * count / total
        self.mean += step * count / total
        self.count += count
        self.minimum, self.maximum = np.fmin(self.minimum, minimum), np.fmax(self.maximum, maximum)

    @property
    def std(self) -> Float64Array:
        """Population standard deviation, shape [channels]."""
        return np.asarray(np.sqrt(self.squares / np.maximum(self.count, 1)))

    @property
    def constant(self) -> BoolArray:
        """Which channels have values that are equal but for a few steps of float32, shape [channels].

        A scale that is the noise of rounding would make any other value an enormous departure.
        """
        largest = np.maximum(np.abs(self.minimum), np.abs(self.maximum))
        step = np.spacing(np.where(self.count > 0, largest, 0).astype(np.float32))
        return np.asarray((self.count > 0) & (self.maximum - self.minimum <= NOISE_STEPS * step))


def fit_scaler(train_uri: str, kind: ScalerType) -> Scaler:
    """Fit a scaler on the training data.

    Raises:
        InputError: Every channel is constant.
    """
    train = Dataset.open(train_uri)
    moments = Moments.of(train)
    known, constant = moments.count > 0, moments.constant
    if not (known & ~constant).any():
        raise InputError(f"{train_uri}: every channel is constant", fix="choose training data in which values change")
    centre, scale = _centre_and_scale(train, kind, moments)
    span = np.where(known, moments.maximum - moments.minimum, 0)
    middle = np.where(known, moments.minimum + span / 2, 0)
    centre = np.where(constant, middle, centre)
    scale = np.where(constant, np.maximum(resolution(middle), span), scale)
    names = np.array(train.channels)
    scaler = Scaler(
        type=kind,
        channels=tuple(names[known].tolist()),
        centre=tuple(centre[known].tolist()),
        scale=tuple(scale[known].tolist()),
        constant=tuple(names[constant].tolist()),
        absent=tuple(names[~known].tolist()),
    )
    _log(scaler)
    return scaler


def resolution(constant: Float64Array) -> Float64Array:
    """Return how far a constant channel departs, in units of the channel, before that counts; [channels].

    A hundredth of the constant, whatever the unit: less may be the last digit of the telemetry. A millionth is taken
    for smaller constants. The size of a channel that is zero is unknown: a hundredth of a unit is taken. One step of a
    channel of whole numbers is ten resolutions or more.

    Args:
        constant: Value of each channel, [channels].
    """
    size = np.where(constant == 0, 1.0, np.maximum(np.abs(constant), _SMALLEST))
    whole = constant == np.round(constant)
    return np.asarray(np.minimum(_RELATIVE_RESOLUTION * size, np.where(whole, _WHOLE_RESOLUTION, np.inf)))


def _log(scaler: Scaler) -> None:
    if scaler.constant:
        centres = dict(zip(scaler.channels, scaler.centre, strict=True))
        named = ", ".join(f"{name} ({centres[name]:g})" for name in scaler.constant)
        logger.info("%d constant channels, whose departures will raise the score: %s", len(scaler.constant), named)
    if scaler.absent:
        logger.info("dropped %d channels without a value: %s", len(scaler.absent), ", ".join(scaler.absent))


def load_scaler(uri: str) -> Scaler:
    """Read a scaler from its JSON file.

    Raises:
        InputError: The file is absent or not a scaler.
    """
    return storage.read_document(uri, Scaler, "a scaler", "fit it again")


def scale_datasets(datasets: Mapping[str, Dataset], scaler: Scaler, targets: Mapping[str, str]) -> dict[str, Dataset]:
    """Write scaled datasets, with the channels of the scaler in its order and without missing values.

    Args:
        datasets: The datasets, by name. Files that several of them share are read once.
        scaler: The scaler.
        targets: Folders of the scaled datasets, by the same names.

    Raises:
        InputError: The scaler was fitted on other channels.
    """
    for dataset in datasets.values():
        fitted_on = sorted((*scaler.channels, *scaler.absent))
        check_same_channels(dataset.location.uri, sorted(dataset.channels), fitted_on, "the scaler")
    missing = {name: np.zeros(len(scaler.channels), dtype=np.int64) for name in datasets}
    sources = [folder for dataset in datasets.values() for folder in dataset.folders]
    timestamp_cols = {name: dataset.manifest.timestamp_col for name, dataset in datasets.items()}
    with writing(targets, timestamp_cols, scaler.channels, sources) as writers:
        with WriteBehind() as behind:
            for name, frame in ahead(read_together(datasets, scaler.channels), 1):
                missing[name] += _scale(frame.values, scaler)
                behind.write(writers[name], frame)
        return {
            name: writers[name].commit(
                missing={
                    channel: int(count) for channel, count in zip(scaler.channels, missing[name], strict=True) if count
                },
                scaler=scaler,
                events=dataset.manifest.events,
                rare_nominal=dataset.manifest.rare_nominal,
                notes=dataset.manifest.notes,
            )
            for name, dataset in datasets.items()
        }


def _scale(values: Float32Array, scaler: Scaler) -> IntArray:
    """Scale values of shape [rows, channels] in place, and return how many of each channel are missing."""
    missing = np.zeros(values.shape[1], dtype=np.int64)
    for first in range(0, len(values), BLOCK_ROWS):
        block = values[first : first + BLOCK_ROWS]
        finite = np.isfinite(block)
        if not finite.all():
            missing += len(block) - finite.sum(axis=0)
        scaler.transform(block, out=block)
    return missing


def _centre_and_scale(train: Dataset, kind: ScalerType, moments: Moments) -> tuple[Float64Array, Float64Array]:
    match kind:
        case ScalerType.STANDARD:
            return moments.mean, moments.std
        case ScalerType.MINMAX:
            return moments.minimum, moments.maximum - moments.minimum
        case ScalerType.ROBUST:
            lower, median, upper = _quartiles(train)
            # A channel that has one value for most of the time has no interquartile range.
            return median, np.where(upper > lower, upper - lower, moments.std)


def _quartiles(train: Dataset) -> Float64Array:
    """Return exact quartiles of the finite values, shape [3, channels], of groups of channels that fit in memory."""
    at_once = max(1, QUANTILE_VALUES // train.manifest.rows)
    quartiles = []
    for first in range(0, len(train.channels), at_once):
        names = train.channels[first : first + at_once]
        values = np.concatenate([frame.values for frame in train.frames(channels=names, order="F")])
        values[~np.isfinite(values)] = np.nan
        quartiles.append(_nan_quartiles(values))
    return np.concatenate(quartiles, axis=1)


def _nan_quartiles(values: Float32Array) -> Float64Array:
    finite = [column[~np.isnan(column)] for column in values.T]
    empty = np.zeros(3)
    return np.stack([np.quantile(column, (0.25, 0.5, 0.75)) if len(column) else empty for column in finite], axis=1)
