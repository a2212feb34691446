"""Stages in the order of the pipeline: commands, inputs, outputs, and files that later stages do not need."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.floors import Files, in_new_process
from benchmarks.results import Detail
from benchmarks.workspace import ANOMALIES, TIMESTAMP_COL, Workspace
from container_component_src.steps.data import SETS
from container_component_src.steps.training import TrainingArguments, training_command

Command = Sequence[str]
BATCH_SIZE = 256
LATENT_DIM, HIDDEN_DIMS = 8, (128, 64)
LEARNING_RATE = 1e-3
ARCHIVE_OPTIONS = {"compression": "zstd", "compression_level": 1}
SCALED = tuple(f"scaled/{split}" for split in SETS)


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline."""

    name: str
    commands: Callable[[Workspace], Sequence[Command]]  # run one after the other
    reads: Callable[[Workspace], list[Files]] = lambda _: []
    writes: Callable[[Workspace], list[Files]] = lambda _: []
    computes: Callable[[Workspace], dict[str, float]] = lambda _: {}  # seconds of the floor apart from files
    details: str = ""  # function that measures parts of the stage
    obsolete: tuple[str, ...] = ()  # folders that no later stage reads

    def floor(self, work: Workspace) -> dict[str, float]:
        """Measure the parts of the floor after the stage has run."""
        reads, writes, scratch = self.reads(work), self.writes(work), work.root / "floor.parquet"
        files = in_new_process("benchmarks.floors:parquet_floor", reads, writes, scratch) if reads or writes else {}
        return files | self.computes(work)

    def measure_details(self, work: Workspace) -> list[Detail]:
        """Measure parts of the stage after it has run."""
        details: list[Detail] = in_new_process(self.details, work) if self.details else []
        return details


def _generate(work: Workspace) -> list[Command]:
    options = f"--rows {work.rows} --channels {work.channels} --anomalies {ANOMALIES}".split()
    return [["generate_telemetry", "--target-path", work.path("example"), *options]]


def _list(work: Workspace) -> list[Command]:
    reports = work.path("example/anomaly_reports.xlsx")
    return [["list_archives", "--archives-path", work.path("example/telemetry"), "--reports-path", reports]]


def _split(work: Workspace) -> list[Command]:
    return [
        ["split_parquet_file", "--file-path", str(archive), "--target-path", str(target)]
        for archive, target in zip(work.archives, work.splits(), strict=True)
    ]


def _preprocess(work: Workspace) -> list[Command]:
    paths = json.dumps([str(folder) for folder in work.splits()])
    options = ["--partitioned-telemetry-paths", paths, "--df-out-path", work.path("dataset"), "--backend", "local"]
    return [["run_dask_preprocessing", *options, "--num-dask-workers", "2"]]


def _label(work: Workspace) -> list[Command]:
    reports = work.path("example/anomaly_reports.xlsx")
    options = ["--df-path", work.path("dataset"), "--labels-path", work.path("labels"), "--reports-path", reports]
    return [["label_telemetry", *options]]


def _split_paths(work: Workspace) -> list[str]:
    return [text for split in SETS for text in (f"--{split}-df-path", work.path(split))]


def _train_val_test_split(work: Workspace) -> list[Command]:
    window, block = work.split_hours()
    inputs = ["--df-path", work.path("dataset"), "--labels-path", work.path("labels")]
    outputs = _split_paths(work)
    return [
        ["create_train_val_test_split", *inputs, *outputs, "--window-hours", str(window), "--block-hours", str(block)]
    ]


def _fit_scaler(work: Workspace) -> list[Command]:
    return [["fit_scaler", "--train-df-path", work.path("train"), "--scaler-path", work.path("scaler.json")]]


def _scale(work: Workspace) -> list[Command]:
    inputs = _split_paths(work)
    outputs = [text for split in SETS for text in (f"--scaled-{split}-df-path", work.path(f"scaled/{split}"))]
    return [["scale_dataframes", "--scaler-path", work.path("scaler.json"), *inputs, *outputs]]


def training_arguments(work: Workspace) -> TrainingArguments:
    """Return the arguments of the measured training, with rows in memory and without early stopping."""
    return TrainingArguments(
        train_df_path=work.path("scaled/train"),
        val_df_path=work.path("scaled/val"),
        model_output_file=work.path("model"),
        batch_size=BATCH_SIZE,
        latent_dim=LATENT_DIM,
        hidden_dims=HIDDEN_DIMS,
        lr=LEARNING_RATE,
        window_steps=1,  # as in the bare loop
        min_epoch_steps=1,  # one pass over the rows
        max_epochs=work.epochs,
        early_stopping_patience=work.epochs,
        memory_share=1.0,
    )


def _train(work: Workspace) -> list[Command]:
    return [training_command(training_arguments(work))[2:]]


def _train_streaming(work: Workspace) -> list[Command]:
    changes = {"memory_share": 0.0, "model_output_file": work.path("model_streamed")}
    return [training_command(training_arguments(work).model_copy(update=changes))[2:]]


def _bare_training(work: Workspace) -> dict[str, float]:
    return {"bare loop": in_new_process("benchmarks.loops:training_floor", work.path("scaled/train"), work.epochs)}


def _calibrate(work: Workspace) -> list[Command]:
    inputs = ["--bundle-path", work.path("model"), "--calibration-df-path", work.path("scaled/calibration")]
    return [["calibrate", *inputs, "--calibrated-model-path", work.path("calibrated")]]


def _evaluate(work: Workspace) -> list[Command]:
    inputs = ["--calibration-df-path", work.path("scaled/calibration"), "--test-df-path", work.path("scaled/test")]
    outputs = ["--scores-path", work.path("scores"), "--evaluation-path", work.path("evaluation.json")]
    outputs += ["--alarms-path", work.path("alarms.ndjson")]
    return [["run_evaluation", "--bundle-path", work.path("calibrated"), *inputs, *outputs]]


def _evaluate_with_baselines(work: Workspace) -> list[Command]:
    return [[*command, "--train-df-path", work.path("scaled/train")] for command in _evaluate(work)]


def _bare_inference(work: Workspace) -> dict[str, float]:
    return _inference(work, "scaled/calibration", "scaled/test")


def _inference(work: Workspace, *datasets: str) -> dict[str, float]:
    paths = (work.path(name) for name in ("model", *datasets))
    return {"inference": in_new_process("benchmarks.loops:inference_floor", *paths)}


def _visualize(work: Workspace) -> list[Command]:
    telemetry = ["--df-path", work.path("dataset"), *_split_paths(work)]
    inputs = ["--scores-path", work.path("scores"), "--evaluation-path", work.path("evaluation.json")]
    inputs += ["--alarms-path", work.path("alarms.ndjson")]
    outputs = ["--bundle-path", work.path("calibrated"), "--report-path", work.path("r.html")]
    return [["visualize_results", *telemetry, *inputs, *outputs]]


STAGES = (
    Stage("generate_telemetry", _generate, writes=lambda work: [Files(work.archives, options=ARCHIVE_OPTIONS)]),
    Stage("list_archives", _list),
    Stage(
        "split_parquet_file",
        _split,
        reads=lambda work: [Files(work.archives, [TIMESTAMP_COL])],
    ),
    Stage(
        "run_dask_preprocessing",
        _preprocess,
        reads=lambda work: [Files(work.archives, work.telemetry_columns)],
        writes=lambda work: [work.files("dataset")],
        obsolete=("example/telemetry", "split"),
    ),
    Stage(
        "label_telemetry",
        _label,
        reads=lambda work: [work.files("dataset", columns=[TIMESTAMP_COL])],
        writes=lambda work: [work.files("labels")],
        details="benchmarks.data_details:labels",
    ),
    Stage(
        "create_train_val_test_split",
        _train_val_test_split,
        reads=lambda work: [work.files("dataset", columns=[TIMESTAMP_COL]), work.files("labels")],
        obsolete=("labels",),
    ),
    Stage("fit_scaler", _fit_scaler, reads=lambda work: [work.files("train")]),
    Stage(
        "scale_dataframes",
        _scale,
        reads=lambda work: [work.files(*SETS)],
        writes=lambda work: [work.files(*SCALED)],
        details="benchmarks.data_details:scaling",
    ),
    Stage(
        "run_training",
        _train,
        reads=lambda work: [work.files("scaled/train", "scaled/val")],
        computes=_bare_training,
        details="benchmarks.training_details:training",
    ),
    Stage(
        "run_training, streaming",
        _train_streaming,
        reads=lambda work: [work.files("scaled/train", "scaled/val")] * work.epochs,
        computes=_bare_training,
    ),
    Stage(
        "calibrate",
        _calibrate,
        reads=lambda work: [work.files("scaled/calibration")],
        computes=lambda work: _inference(work, "scaled/calibration"),
    ),
    Stage(
        "run_evaluation",
        _evaluate,
        reads=lambda work: [work.files("scaled/calibration", "scaled/test")],
        writes=lambda work: [work.files("scores")],
        computes=_bare_inference,
        details="benchmarks.evaluation_details:evaluation",
    ),
    Stage(
        "run_evaluation, baselines",
        _evaluate_with_baselines,
        reads=lambda work: [work.files(*SCALED), work.files("scaled/calibration", "scaled/test")],
        writes=lambda work: [work.files("scores")],
        computes=_bare_inference,
    ),
    Stage(
        "visualize_results",
        _visualize,
        reads=lambda work: [work.files("scores"), work.files(*SETS, columns=[TIMESTAMP_COL])],
    ),
)
