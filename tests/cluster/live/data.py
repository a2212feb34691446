"""Commands of a run on small data, in the order of the pipeline."""

from container_component_src.steps.data import SETS
from tests.cluster.live.target import Target

CHANNELS, ROWS, ANOMALIES = 12, 6_000, 20
# Generates the example data locally, and copies it to the object store.
PREPARE = f"""
import pathlib, subprocess, sys
from container_component_src.storage import resolve
folder = pathlib.Path("/tmp/example")
command = ["python", "container_component_src/main.py", "generate_telemetry", "--target-path", str(folder)]
size = ["--rows", "{ROWS}", "--channels", "{CHANNELS}", "--anomalies", "{ANOMALIES}"]
subprocess.run([*command, *size], check=True)
for file in sorted(path for path in folder.rglob("*") if path.is_file()):
    resolve(f"{{sys.argv[1]}}/{{file.relative_to(folder)}}").write_bytes(file.read_bytes())
"""
HYPERPARAMETERS = '{"latent_dim": 4, "hidden_dims": "32,16", "beta": 1.0, "lr": 0.003, "batch_size": 256}'


class Commands:
    """Command lines with inputs and outputs below one prefix."""

    def __init__(self, target: Target, prefix: str) -> None:
        self._target = target
        self.prefix = prefix

    def data_steps(self) -> list[list[str]]:
        """Return the commands between the preprocessing and the scaled datasets."""
        out = self.prefix
        datasets = [item for name in SETS for item in (f"--{name}-df-path", f"{out}/{name}")]
        scaled = [item for name in SETS for item in (f"--scaled-{name}-df-path", f"{out}/scaled/{name}")]
        return [
            ["label_telemetry", *self._option("df-path", "dataset"), *self._option("labels-path", "labels"),
             *self._option("reports-path", "example/anomaly_reports.xlsx")],
            ["create_train_val_test_split", *self._option("df-path", "dataset"), *self._option("labels-path", "labels"),
             *datasets, "--window-hours", "0.25", "--block-hours", "0.5", "--seed", "42"],
            ["fit_scaler", *self._option("train-df-path", "train"), "--scaler-type", "standard",
             *self._option("scaler-path", "scaler.json")],
            ["scale_dataframes", *self._option("scaler-path", "scaler.json"), *datasets, *scaled],
        ]  # fmt: skip

    def split(self, year: int) -> list[str]:
        """Return the command that splits an archive into partitions."""
        return [
            "split_parquet_file",
            *self._option("file-path", f"example/telemetry/{year}.parquet"),
            *self._option("target-path", f"split/{year}"),
            *("--timestamp-col", "normalizedTime", "--rowgroup-limit", "0", "--rowgroups-per-file", "4"),
        ]

    def preprocess(self, target: str = "dataset") -> list[str]:
        """Return the command that preprocesses the partitions on a Dask cluster."""
        return [
            "run_dask_preprocessing",
            *("--partitioned-telemetry-paths", f'["{self.prefix}/split/2022", "{self.prefix}/split/2023"]'),
            *self._option("df-out-path", target),
            *("--sample-frac", "1.0", "--timestamp-col", "normalizedTime", "--num-dask-workers", "2"),
            *self._target.pod_options(image_option="--dask-worker-image"),
        ]

    def tune(self) -> list[str]:
        """Return the command that tunes with two trials."""
        return [
            "run_katib_experiment",
            *self._scaled(),
            *("--latent-dims", "[2, 4]", "--hidden-dims", '["32,16"]', "--betas", "[1.0]", "--lrs", "[0.003]"),
            *("--batch-sizes", "[256]", "--max-trials", "2", "--parallel-trials", "1", "--max-epochs", "2"),
            *self._option("trials-path", "trials.csv"),
            *self._target.pod_options(),
        ]

    def train(self, nodes: int = 2, target: str = "model", training_api: str = "auto") -> list[str]:
        """Return the command that trains on a number of nodes."""
        return [
            "run_pytorchjob",
            *self._scaled(),
            *("--num-gpu-nodes", str(nodes), "--max-epochs", "2", "--hyperparameters", HYPERPARAMETERS),
            *self._option("model-output-file", target),
            *("--training-api", training_api),
            *self._target.pod_options(),
        ]

    def calibrate(self, model: str = "model") -> list[str]:
        """Return the command that calibrates a model in its own folder."""
        return [
            "calibrate",
            *self._option("bundle-path", model),
            *self._option("calibration-df-path", "scaled/calibration"),
            *self._option("calibrated-model-path", model),
        ]

    def evaluate(self) -> list[str]:
        """Return the command that writes scores and metrics."""
        return [
            "run_evaluation",
            *self._option("bundle-path", "model"),
            *self._option("train-df-path", "scaled/train"),
            *self._option("calibration-df-path", "scaled/calibration"),
            *self._option("test-df-path", "scaled/test"),
            *self._option("scores-path", "scores"),
            *self._option("evaluation-path", "evaluation.json"),
            *self._option("alarms-path", "alarms.ndjson"),
        ]

    def deploy(self, service: str, model: str = "model", **options: str) -> list[str]:
        """Return the command that deploys the model."""
        return [
            "deploy_to_kserve",
            *self._option("bundle-path", model),
            *self._option("test-df-path", "scaled/test"),
            *("--service-name", service),
            *self._target.pod_options(),
            *(item for name, value in options.items() for item in (f"--{name.replace('_', '-')}", value)),
        ]

    def _scaled(self) -> list[str]:
        return [*self._option("train-df-path", "scaled/train"), *self._option("val-df-path", "scaled/val")]

    def _option(self, name: str, path: str) -> list[str]:
        return [f"--{name}", f"{self.prefix}/{path}"]
