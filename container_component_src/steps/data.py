"""Steps from the archives to scaled datasets."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from container_component_src.names import Endpoint, OptionalUri, Uri
from container_component_src.steps.declaration import (
    Arguments,
    input_artifact,
    output_dataset,
    output_file,
    parameter,
    wired,
)
from container_component_src.steps.shared import (
    MOST_HOURS,
    DataRoot,
    Launching,
    Origin,
    Place,
    PodSettings,
    Seed,
    TimestampColumn,
)
from container_component_src.values import NonEmpty, parse_json


def _one_or_several(value: object) -> object:
    if isinstance(value, str):
        return parse_json(value) if value.lstrip().startswith("[") else [value]
    return value


SETS = ("train", "val", "calibration", "test")  # of the split; the options are --NAME-df-path
Paths = Annotated[list[NonEmpty], BeforeValidator(_one_or_several), Field(min_length=1)]  # one path, or a JSON list


class ScalerType(StrEnum):
    """How the centre and the scale of a channel are chosen."""

    STANDARD = "standard"  # mean and standard deviation
    MINMAX = "minmax"  # minimum and range
    ROBUST = "robust"  # median and interquartile range


class ReportColumns(Arguments):
    """Column headers of the anomaly reports; times are `%Y/%j/%H:%M:%S` in UTC."""

    id: NonEmpty = "ID"
    symbol: NonEmpty = "SYMBOL"
    title: NonEmpty = "TITLE"
    start: NonEmpty = "EVENT GMT (DOY/HH:MM:SS)"  # inclusive
    end: NonEmpty = "Duration/End GMT"  # exclusive
    channels: NonEmpty = "CHANNELS"  # that caused the event; the table need not have this column

    @property
    def required(self) -> dict[str, str]:
        """The headers that every table has, by field."""
        return self.model_dump(exclude={"channels"})


class ReportTable(Arguments):
    """How the table of the anomaly reports is written."""

    report_columns: ReportColumns = parameter(
        "Column headers of the report table that differ from those of the Columbus reports, as a JSON object with the "
        "keys id, symbol, title, start, end and channels.",
        ReportColumns.model_construct(),
    )


class Reports(Arguments):
    """Where the anomaly reports are."""

    reports_path: Uri = parameter("Table of the anomaly reports (.xls, .xlsx or .csv).")


class ExcludedChannels(Arguments):
    """Columns of numbers that are not channels."""

    exclude_channels: tuple[NonEmpty, ...] = parameter(
        "Columns of numbers that are not channels, such as counters, set points and labels, as a JSON list of names or "
        'patterns such as "sample_*".',
        (),
    )


class VerdictTable(Arguments):
    """Where the verdicts of operators are."""

    feedback_path: OptionalUri = parameter("Table of operators' verdicts on alarms (.csv). Empty: there are none.", "")


class ListArchives(Reports, VerdictTable, DataRoot, TimestampColumn, ExcludedChannels, Place):
    """Arguments of `list_archives`."""

    command: ClassVar[str] = "list_archives"
    results: ClassVar[dict[str, type]] = {
        "archives": list[dict[str, str]],
        "left_out_columns": dict[str, str],  # why columns are not channels, by name
        "reports_fingerprint": str,
        "feedback_fingerprint": str,  # empty if there are no verdicts
    }
    checks_parameters: ClassVar[bool] = True

    archives_path: Uri = parameter("Folder or prefix with the archives (.parquet or .csv).")
    training_pods: PodSettings = wired(
        "Settings of the pods that train, as a JSON object: parameters that need more memory are refused.",
        PodSettings.model_construct(),
    )
    origin: Origin = wired(
        "Title of the report, configuration file, commit and image of the run, as a JSON object.",
        Origin.model_construct(),
    )
    run_path: str = output_file("JSON file of what identifies the run. Empty: it is not written.", "run", default="")


class SplitStorage(StrEnum):
    """How rows that a step only divides are stored."""

    VIEW = "view"  # ranges of what has the rows
    COPY = "copy"


class Stored(Arguments):
    """Whether a step that only divides rows copies them."""

    split_storage: SplitStorage = parameter(
        "How the partitions of an archive and the sets of the split are stored: as views, which name rows of the "
        "archive or the dataset and need it as long as they are read, or as copies of the rows. CSV archives and those "
        "with large or very many row groups are always copied.",
        SplitStorage.VIEW,
    )

    @property
    def copies(self) -> bool:
        """Whether the rows are copied."""
        return self.split_storage is SplitStorage.COPY


class SplitParquetFile(Stored, DataRoot, TimestampColumn, ExcludedChannels):
    """Arguments of `split_parquet_file`."""

    command: ClassVar[str] = "split_parquet_file"
    cache_keys: ClassVar[tuple[str, ...]] = ("fingerprint",)

    file_path: NonEmpty = wired("The archive.")
    target_path: str = output_dataset("Folder of the files, which is emptied first.", "partitions")
    rowgroup_limit: int = parameter(
        "Row groups (of a CSV file, parts of 16 MiB) to take from each archive; 0 takes all.", 0, ge=0
    )
    rowgroups_per_file: int = parameter("Row groups in one partition, which a Dask worker reads at once.", 4, ge=1)


class ClusterSpec(Arguments):
    """Size of a Dask cluster: fixed, or between two bounds as the work requires."""

    num_dask_workers: int = parameter("Dask workers.", 2, ge=1)
    min_workers: int = parameter(
        "Least Dask workers of a cluster that adapts to the work; 0 for a fixed number.", 0, "min_dask_workers", ge=0
    )
    max_workers: int = parameter(
        "Most Dask workers of a cluster that adapts to the work; 0 for a fixed number.", 0, "max_dask_workers", ge=0
    )

    @model_validator(mode="after")
    def _bounds_are_a_range(self) -> Self:
        if self.adaptive and not 1 <= self.min_workers <= self.max_workers:
            raise ValueError(
                f"--min-workers {self.min_workers} and --max-workers {self.max_workers} are no range from 1 up; "
                "leave out both for a fixed number of workers"
            )
        return self

    @property
    def adaptive(self) -> bool:
        """Whether the number of workers follows the work."""
        return bool(self.min_workers or self.max_workers)

    @property
    def first_workers(self) -> int:
        """Number of workers to wait for before the work starts."""
        return self.min_workers if self.adaptive else self.num_dask_workers


class RunDaskPreprocessing(DataRoot, TimestampColumn, ClusterSpec, Launching):
    """Arguments of `run_dask_preprocessing`."""

    command: ClassVar[str] = "run_dask_preprocessing"
    image_option: ClassVar[str] = "--dask-worker-image"

    partitioned_telemetry_paths: Paths = wired(
        "Folders written by split_parquet_file, or parquet files: one path, or a JSON list."
    )
    sample_frac: float = parameter("Share of the rows to keep, chosen by a hash of the timestamp.", 1.0, gt=0, le=1)
    df_out_path: str = output_dataset("Folder of the dataset, which is emptied first.", "dataset")
    minio_endpoint: Endpoint = parameter("S3 endpoint, with or without scheme. Empty: that of the environment.", "")


class LabelTelemetry(Reports, VerdictTable, ReportTable, DataRoot):
    """Arguments of `label_telemetry`."""

    command: ClassVar[str] = "label_telemetry"
    cache_keys: ClassVar[tuple[str, ...]] = ("reports_fingerprint", "feedback_fingerprint")

    df_path: NonEmpty = wired("The dataset.")
    labels_path: str = output_dataset("Folder of the label series, which is emptied first.", "labels")
    strict_reports: bool = parameter(
        "Whether overlapping events, events outside of the data and repeated event IDs are errors.", True
    )


class SplitRule(Seed):
    """Which rows form the training, validation, calibration and test sets."""

    window_hours: float = parameter(
        "Rows within this many hours of a reported anomaly form the test set.", 12.0, ge=0, le=MOST_HOURS
    )
    block_hours: float = parameter(
        "Hours of a block of the other rows, which goes to training, validation or calibration as a whole; blocks are "
        "shorter if there would be too few for the fractions.",
        6.0,
        ge=1e-6,
        le=MOST_HOURS,
    )
    val_fraction: float = parameter(
        "Share of these blocks that forms the validation set, which ends the training and the tuning.", 0.05, gt=0, lt=1
    )
    calibration_fraction: float = parameter(
        "Share of these blocks that forms the calibration set, which sets the alarm threshold.", 0.15, gt=0, lt=1
    )

    @model_validator(mode="after")
    def _leaves_training_data(self) -> Self:
        if self.val_fraction + self.calibration_fraction >= 1:
            raise ValueError(
                f"--val-fraction {self.val_fraction} and --calibration-fraction {self.calibration_fraction} leave "
                "no training data; their sum must be below 1"
            )
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Share of the blocks that each set has; the training set has what the others leave."""
        train = 1 - (self.val_fraction + self.calibration_fraction)
        return {"train": train, "val": self.val_fraction, "calibration": self.calibration_fraction}


class CreateTrainValTestSplit(Stored, SplitRule, DataRoot):
    """Arguments of `create_train_val_test_split`."""

    command: ClassVar[str] = "create_train_val_test_split"

    df_path: NonEmpty = wired("The dataset.")
    labels_path: NonEmpty = wired("Its label series.")
    train_df_path: str = output_dataset("Folder of the training set, which is emptied first.", "train")
    val_df_path: str = output_dataset("Folder of the validation set, which is emptied first.", "val")
    calibration_df_path: str = output_dataset("Folder of the calibration set, which is emptied first.", "calibration")
    test_df_path: str = output_dataset("Folder of the test set, which is emptied first.", "test")


class FitScaler(Arguments):
    """Arguments of `fit_scaler`."""

    command: ClassVar[str] = "fit_scaler"

    train_df_path: NonEmpty = wired("The training set.")
    scaler_type: ScalerType = parameter(
        "Centre and scale of a channel: mean and standard deviation, minimum and range, or median and interquartile "
        "range.",
        ScalerType.STANDARD,
    )
    scaler_path: NonEmpty = output_file("JSON file of the scaler.", "scaler")


class ScaleDataframes(DataRoot):
    """Arguments of `scale_dataframes`."""

    command: ClassVar[str] = "scale_dataframes"

    scaler_path: NonEmpty = input_artifact("JSON file of the scaler.", "scaler")
    train_df_path: NonEmpty = wired("The training set.")
    val_df_path: NonEmpty = wired("The validation set.")
    calibration_df_path: NonEmpty = wired("The calibration set.")
    test_df_path: NonEmpty = wired("The test set.")
    scaled_train_df_path: str = output_dataset("Folder of the scaled training set, emptied first.", "scaled_train")
    scaled_val_df_path: str = output_dataset("Folder of the scaled validation set, emptied first.", "scaled_val")
    scaled_calibration_df_path: str = output_dataset(
        "Folder of the scaled calibration set, emptied first.", "scaled_calibration"
    )
    scaled_test_df_path: str = output_dataset("Folder of the scaled test set, emptied first.", "scaled_test")
