"""One run: the product's own steps on one data set with one seed, and the metrics of the model and the baselines."""

import io
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.detection.datasets import Prepared
from benchmarks.measure import PROJECT
from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import BaselineResult, EvaluationResult
from container_component_src.model.calibration import calibrate
from container_component_src.model.training import train
from container_component_src.scratch import scratch_directory
from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.data import SETS, FitScaler, SplitRule
from container_component_src.steps.declaration import Arguments
from container_component_src.steps.evaluation import RunEvaluation
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.scaling import fit_scaler, scale_datasets
from container_component_src.telemetry.split import split_dataset
from container_component_src.values import validated

DETECTION = (
    *("vus_pr", "vus_roc", "roc_auc", "pr_auc", "composite_f1", "composite_f1_best"),
    *("hit_rate_100", "hit_rate_150"),
)
ALARMS = (
    *("alarms_per_day", "false_alarms_per_day", "alarm_precision", "event_recall", "redundancy"),
    *("median_detection_delay_s", "event_f05"),
)
METRICS = (*DETECTION, *ALARMS)
PARTS = ("data", "training", "calibration", "evaluation")  # of a run, whose seconds are measured
Run = dict[str, Any]


class Settings:
    """Parameters of the steps that differ from their defaults, as text or as values.

    Args:
        values: Parameter values by name.

    Raises:
        InputError: No step has a parameter of this name.
    """

    STEPS: tuple[type[Arguments], ...] = (SplitRule, FitScaler, TrainingArguments, Calibrate, RunEvaluation)

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        for name in self.values:
            if not any(name in step.model_fields for step in self.STEPS):
                raise InputError(f"no parameter '{name}'", fix="name one of a step from the split to the evaluation")

    def of(self, step: type[Arguments]) -> dict[str, str]:
        """Return the values that a step takes."""
        return {name: value for name, value in self.values.items() if name in step.model_fields}


def run(prepared: Prepared, seed: int, settings: Settings) -> Run:
    """Split, scale, train, calibrate and evaluate in this process.

    Returns:
        Facts of the run, and the metrics of each detector.
    """
    laps = [time.process_time()]
    with scratch_directory() as folder:
        paths = {name: str(folder / name) for name in (*SETS, "scores", "model", "calibrated")}
        scaled = {name: str(folder / "scaled" / name) for name in SETS}
        hours = {"window_hours": prepared.window_hours, "block_hours": prepared.block_hours}
        rule = {**hours, "seed": seed, **settings.of(SplitRule)}
        targets = {name: paths[name] for name in SETS}
        split_dataset(prepared.dataset, prepared.labels, targets, validated(SplitRule, rule))
        options = {"train_df_path": paths["train"], "scaler_path": str(folder), **settings.of(FitScaler)}
        scaler = fit_scaler(paths["train"], validated(FitScaler, options).scaler_type)
        written = scale_datasets({name: Dataset.open(paths[name]) for name in SETS}, scaler, scaled)
        rows = {name: dataset.manifest.rows for name, dataset in written.items()}
        training = {"train_df_path": scaled["train"], "val_df_path": scaled["val"], "model_output_file": paths["model"]}
        arguments = validated(TrainingArguments, {**training, "seed": seed, **settings.of(TrainingArguments)})
        laps.append(time.process_time())
        with redirect_stdout(io.StringIO()):  # the losses of every epoch
            summary = train(arguments)
        laps.append(time.process_time())
        inputs = {"bundle_path": paths["model"], "calibration_df_path": scaled["calibration"]}
        outputs = {"calibrated_model_path": paths["calibrated"]}
        calibrate(validated(Calibrate, {**inputs, **outputs, **settings.of(Calibrate)}), paths["calibrated"])
        laps.append(time.process_time())
        result = _evaluate(paths, scaled, settings)
        laps.append(time.process_time())
    return {
        "seed": seed,
        "settings": settings.values,
        "rows": rows,
        "anomalous_rows": result.counts.anomalous_rows,
        "events": result.counts.events,
        "constant_channels": list(scaler.constant),
        "best_epoch": summary.best_epoch,
        "epochs": summary.epochs,
        "cpu_seconds": {name: end - start for name, (start, end) in zip(PARTS, pairwise(laps), strict=True)},
        "detectors": {name: dict(values) for name, values in detector_metrics(result, arguments.detector)},
    }


def _evaluate(paths: Mapping[str, str], scaled: Mapping[str, str], settings: Settings) -> EvaluationResult:
    """Evaluate the model; paths by the name of the output, and of the scaled datasets by their part of the split."""
    values = {f"{name}_df_path": scaled[name] for name in ("train", "calibration", "test")} | settings.of(RunEvaluation)
    outputs = {"bundle_path": paths["calibrated"], "scores_path": paths["scores"]}
    outputs |= dict.fromkeys(("evaluation_path", "alarms_path"), "-")
    arguments = validated(RunEvaluation, {**values, **outputs})
    return evaluate(
        arguments.bundle_path,
        arguments.calibration_df_path,
        arguments.test_df_path,
        arguments.scores_path,
        arguments.train_df_path,
        arguments.baseline_window_steps,
    )


def detector_metrics(result: EvaluationResult, model: str) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield the metrics of the model, by its name, and of each baseline; None where one is not defined."""
    causes = result.root_cause
    rates = {"hit_rate_100": causes.hit_rate_100, "hit_rate_150": causes.hit_rate_150} if causes else {}
    yield model, {**_metrics(result), **rates}
    for baseline in result.baselines:
        yield baseline.name, _metrics(baseline)


def _metrics(result: EvaluationResult | BaselineResult) -> dict[str, float | None]:
    own = {name: getattr(result, name) for name in ("vus_pr", "vus_roc", "roc_auc", "pr_auc")}
    return {
        **dict.fromkeys(METRICS),
        **own,
        "composite_f1": result.calibrated.composite_f1,
        "composite_f1_best": result.best.composite_f1,
        **{name: getattr(result.calibrated, name) for name in ALARMS},
    }


def stored_run(prepared: Prepared, seed: int, settings: Settings, folder: Path) -> Run:
    """Return the run from its file in a folder; if there is none, run and write it.

    The name of the file has a digest of the settings and of the code, so that no result of others is taken.
    """
    scale = {"window_hours": prepared.window_hours, "block_hours": prepared.block_hours}
    content = json.dumps([settings.values, scale, code_digest()], sort_keys=True).encode()
    name = prepared.source.name
    file = folder / f"{name.replace('/', '-')}-{seed}-{sha256(content).hexdigest()[:12]}.json"
    if not file.exists():
        record = {"data": name, "group": prepared.source.group, "commit": commit(), **scale}
        record |= run(prepared, seed, settings)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        temporary.replace(file)
    loaded: Run = json.loads(file.read_text(encoding="utf-8"))
    return loaded


@cache
def code_digest() -> str:
    """Return a digest of the code that a result depends on, as it was at the start."""
    digest = sha256()
    for file in sorted((PROJECT / "container_component_src").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def commit() -> str:
    """Return the commit of the code, marked if files differ from it."""
    command = ["git", "describe", "--always", "--exclude", "*", "--abbrev=12", "--dirty"]
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()
