"""A fault in one channel of example telemetry is attributed to that channel."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from container_component_src.example_data import ExampleDataSpec, generate
from container_component_src.model.bundle import Bundle
from container_component_src.model.calibration import calibrate
from container_component_src.model.training import train
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.server.answers import assess
from container_component_src.steps.calibration import Calibrate, Smoothing
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.columns import columns_of
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.scaler import Scaler

TIME = "normalizedTime"
ROWS, TRAIN_ROWS = 12_000, 8_000
FAULT = 8.0  # standard deviations
FAULTY_ROWS = 100


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, np.ndarray]:
    """A model of example telemetry without anomalies, and rows in engineering units that it was not trained on."""
    folder = tmp_path_factory.mktemp("contributions")
    spec = ExampleDataSpec(rows=ROWS, channels=24, anomalies=0, years=(2023,))
    (archive,) = generate(folder, spec).archives
    table = pq.read_table(archive)
    channels = columns_of(table.schema, TIME).channels
    values = table.select(list(channels)).to_pandas().interpolate(limit_direction="both").to_numpy(np.float32)
    order = np.random.default_rng(0).permutation(len(values))  # so that both splits have all daily rhythms
    known, unknown = values[np.sort(order[:TRAIN_ROWS])], values[np.sort(order[TRAIN_ROWS:])]
    varying = known.std(axis=0) > 0
    channels = tuple(name for name, varies in zip(channels, varying, strict=True) if varies)
    known, unknown = known[:, varying], unknown[:, varying]
    scaler = Scaler(
        type=ScalerType.STANDARD, channels=channels, centre=tuple(known.mean(axis=0).tolist()),
        scale=tuple(known.std(axis=0).tolist()),
    )  # fmt: skip
    for name, values in (("train", known[:-1500]), ("val", known[-1500:])):
        with DatasetWriter(str(folder / name), TIME, channels) as writer:
            writer.write(Frame(np.arange(len(values), dtype=np.int64) * 10**9, scaler.transform(values)))
            writer.commit(scaler=scaler)
    train(
        TrainingArguments(
            train_df_path=str(folder / "train"), val_df_path=str(folder / "val"),
            model_output_file=str(folder / "model"), batch_size=128, max_epochs=12, latent_dim=6,
            hidden_dims=(64, 32), window_steps=1, min_epoch_steps=1,
        )
    )  # fmt: skip
    calibrate(
        Calibrate(
            bundle_path=str(folder / "model"), calibration_df_path=str(folder / "val"), alarm_quantile=0.999,
            smoothing=Smoothing.EXPONENTIAL, smoothing_window=3, threshold_method="quantile",
            calibrated_model_path=str(folder / "bundle"),
        ),
        str(folder / "bundle"),
    )  # fmt: skip
    return Bundle.load(str(folder / "bundle")), unknown.astype(np.float64)


def test_the_faulty_channel_contributes_most(example: tuple[Bundle, np.ndarray]) -> None:
    bundle, values = example
    assert bundle.info.scaler is not None
    rng = np.random.default_rng(1)
    found = []
    for column, scale in enumerate(bundle.info.scaler.scale):
        rows = values[rng.choice(len(values), FAULTY_ROWS)]
        rows[:, column] += FAULT * scale * rng.choice([-1, 1])
        contributions, expected = bundle.scorer.contributions_and_reconstruction(
            bundle.info.scaler.transform(rows.astype(np.float32))
        )
        answers: list[dict[str, Any]] = assess(bundle.info, Rows(rows), contributions, expected, 3).predictions()
        found += [
            (bundle.info.channels[column], answer["top_channels"][0]["channel"])
            for answer in answers
            if answer["alarm"]
        ]
    check(found)


def test_the_faulty_channel_contributes_most_to_smoothed_alarms(example: tuple[Bundle, np.ndarray]) -> None:
    bundle, values = example
    assert bundle.info.scaler is not None
    settings = bundle.info.calibrated.settings.model_copy(update={"smoothing_window": 15})
    calibration = bundle.info.calibrated.model_copy(update={"settings": settings})
    info = bundle.info.model_copy(update={"calibration": calibration})
    faulty = slice(40, 80)
    found = []
    for column, scale in enumerate(bundle.info.scaler.scale):
        rows = values[100 * column :][:120].copy()
        rows[faulty, column] += FAULT * scale
        contributions, expected = bundle.scorer.contributions_and_reconstruction(
            bundle.info.scaler.transform(rows.astype(np.float32))
        )
        timestamps = np.arange(len(rows)) * 10**9
        answers = assess(info, Rows(rows, timestamps), contributions, expected, 3).predictions()
        found += [
            (info.channels[column], answer["top_channels"][0]["channel"])
            for answer in answers[faulty.start : faulty.stop + 7]
            if answer["alarm"]
        ]
    check(found)


def check(found: list[tuple[str, str]]) -> None:
    """Pairs of the faulty channel and the one named first, for alarmed rows."""
    table = pd.DataFrame(found, columns=["faulty", "first"])
    assert len(table) > 500
    assert table["faulty"].nunique() > 15
    share = (table["faulty"] == table["first"]).mean()
    assert share >= 0.95, table[table["faulty"] != table["first"]].value_counts().head(10)
