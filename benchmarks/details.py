"""Measurements of single parts, inside a process of their own and without its start."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from datetime import datetime
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.floors import Stopwatch, in_new_process
from benchmarks.loops import seconds_of, train_bare, untrained
from benchmarks.results import Detail
from benchmarks.stages import training_arguments
from benchmarks.workspace import Workspace
from container_component_src.evaluation import evaluator, metrics
from container_component_src.model.arguments import TrainingArguments
from container_component_src.model.datamodule import Share, TensorSource
from container_component_src.model.scoring import score_parts
from container_component_src.model.training import fit
from container_component_src.model.vae import TimeStampVAE
from container_component_src.telemetry.dataset import Dataset, Frame, Values
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.labels import inside_any
from container_component_src.telemetry.scaling import load_scaler

REPEATS = 5
LABELLED_ROWS, EVENTS = 1_000_000, 20
TRAINING_ROWS = 1_000_000  # at most; more say nothing new about a loop over rows in memory
PER_ROW_ROWS, PER_ROW_BATCH = 50_000, 32
COPIED_ROWS = 200_000
SECOND = 10**9
_EPOCH_END = re.compile(r"^(\S+) train_loss=", re.MULTILINE)


def after(stage: str, work: Workspace) -> list[Detail]:
    """What is measured once a stage has run, if anything."""
    return [] if stage not in _DETAILS else in_new_process(_DETAILS[stage], work)


def labels(work: Workspace) -> list[Detail]:
    """Labels of a million timestamps."""
    timestamps = np.arange(LABELLED_ROWS, dtype=np.int64) * SECOND
    seconds = median(seconds_of(lambda: inside_any(timestamps, _events())) for _ in range(REPEATS))
    return [Detail(f"labels of timestamps with {EVENTS} events", LABELLED_ROWS, seconds, "s")]


def scaling(work: Workspace) -> list[Detail]:
    """The arithmetic of scaling against a copy of the same memory."""
    scaler = load_scaler(work.path("scaler.json"))
    values = _first_rows(Dataset.open(work.path("train")), COPIED_ROWS)[:, : len(scaler.channels)].copy()
    target = np.empty_like(values)
    pairs = [
        (seconds_of(lambda: scaler.transform(values)), seconds_of(lambda: np.copyto(target, values)))
        for _ in range(REPEATS)
    ]
    return [Detail("scaling in memory, as a multiple of copying", len(values), _median_ratio(pairs), "ratio")]


def training(work: Workspace) -> list[Detail]:
    """Rows a second of the training loop against the bare loop, and of the drawing of batches against a row at a time.

    The loops take turns, so that a change of the machine's speed meets all of them.
    """
    values = _first_rows(Dataset.open(work.path("scaled/train")), TRAINING_ROWS)
    rows, arguments = len(values), training_arguments(work)
    product, bare, fused = [], [], []
    train_bare(untrained(values.shape[1]), values[: rows // 10], 1)  # the first steps of a process are slow
    for _ in range(REPEATS):
        product.append(_epoch_seconds(values, arguments))
        bare.append(seconds_of(lambda: train_bare(untrained(values.shape[1]), values, 1)))
        fused.append(seconds_of(lambda: train_bare(untrained(values.shape[1]), values, 1, fused=True)))
    return [
        Detail("training loop", rows, rows / median(product), "rows/s"),
        Detail("bare loop", rows, rows / median(bare), "rows/s"),
        Detail("bare loop, fused Adam", rows, rows / median(fused), "rows/s"),
        Detail("training loop by bare loop", rows, _median_ratio(zip(bare, product, strict=True)), "ratio"),
        Detail(
            "training loop by bare loop, fused Adam", rows, _median_ratio(zip(fused, product, strict=True)), "ratio"
        ),
        *_data_path(values),
    ]


def evaluation(work: Workspace) -> list[Detail]:
    """Evaluation without its inference, and the judging of a million scores."""
    inference = Stopwatch()

    def timed(model: TimeStampVAE, values: Values) -> Values:
        with inference.running():
            return score_parts(model, values)

    paths = [work.path(name) for name in ("model", "scaled/val", "scaled/test", "detail_scores")]
    beyond = []
    for _ in range(3):
        inference.seconds = 0.0
        with patch.object(evaluator, "score_parts", timed):
            beyond.append(seconds_of(lambda: evaluator.evaluate(*paths)) - inference.seconds)
    rows = Dataset.open(paths[1]).manifest.rows + Dataset.open(paths[2]).manifest.rows
    judged = _judging()
    return [
        Detail("evaluation beyond inference, reading and writing included", rows, median(beyond), "s"),
        Detail("all thresholds and metrics of scores in memory", LABELLED_ROWS, judged, "s"),
    ]


def _judging() -> float:
    timestamps = np.arange(LABELLED_ROWS, dtype=np.int64) * SECOND
    labelled = inside_any(timestamps, _events())
    scores = (np.random.default_rng(0).standard_normal(LABELLED_ROWS) + labelled).astype(np.float32)

    def judge() -> None:
        data = metrics.LabelledScores(timestamps, scores, labelled.astype(np.int8), _events())
        curve = metrics.threshold_curve(data)
        for threshold in (float(curve.threshold[curve.best]), 2.0):
            metrics.at_threshold(data, threshold)
        metrics.roc_auc(data)
        metrics.pr_auc(data)

    return median(seconds_of(judge) for _ in range(3))


def _data_path(values: Values) -> list[Detail]:
    source, share = TensorSource(torch.from_numpy(values)), Share()
    one_by_one = DataLoader(_Rows(torch.from_numpy(values[:PER_ROW_ROWS])), batch_size=PER_ROW_BATCH, shuffle=True)

    def draw_blocks() -> None:
        for block in source.shuffled(PER_ROW_BATCH, 0, 0, share):
            for _ in block:
                pass

    def draw_rows() -> None:
        for _ in one_by_one:
            pass

    pairs = [
        (len(values) / seconds_of(draw_blocks), min(PER_ROW_ROWS, len(values)) / seconds_of(draw_rows))
        for _ in range(3)
    ]
    name = f"batches of {PER_ROW_BATCH} alone"
    return [
        Detail(name, len(values), median(blocks for blocks, _ in pairs), "rows/s"),
        Detail(f"{name}, row by row with default collation", len(values), median(rows for _, rows in pairs), "rows/s"),
        Detail(f"{name}, as a multiple of row by row", len(values), _median_ratio(pairs), "ratio"),
    ]


class _Rows(TorchDataset[Tensor]):
    """One row at a time, as a plain dataset gives it."""

    def __init__(self, values: Tensor) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Tensor:
        return self._values[index]


def _epoch_seconds(values: Values, arguments: TrainingArguments) -> float:
    """Seconds of an epoch of the training loop, with next to no validation: from the end of one to that of the next."""
    log = io.StringIO()
    with redirect_stdout(log):
        two = arguments.model_copy(update={"max_epochs": 2, "early_stopping_patience": 2})
        fit(untrained(values.shape[1]), values, values[:1], two)
    ends = [datetime.fromisoformat(text) for text in _EPOCH_END.findall(log.getvalue())]
    return (ends[1] - ends[0]).total_seconds()


def _events() -> list[Event]:
    length = LABELLED_ROWS * SECOND // EVENTS
    return [Event(id=str(i), start=i * length + length // 2, end=i * length + length * 3 // 5) for i in range(EVENTS)]


def _first_rows(dataset: Dataset, count: int) -> Values:
    def parts() -> Iterator[Frame]:
        rows = 0
        for partition in dataset.manifest.partitions:
            if rows < count:
                yield dataset.read(partition)
                rows += partition.rows

    return np.concatenate([frame.values for frame in parts()])[:count]


def _median_ratio(
    pairs: Iterable[tuple[float, float]],
) -> float:
    return median(left / right for left, right in pairs)


_DETAILS: dict[str, Callable[[Workspace], list[Detail]]] = {
    "label_telemetry": labels,
    "scale_dataframes": scaling,
    "run_training": training,
    "run_evaluation": evaluation,
}
