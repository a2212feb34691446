"""Example data, checks and clean-up."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, model_validator

from container_component_src.names import SecretName
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.data import ReportTable
from container_component_src.steps.declaration import flag, option
from container_component_src.steps.shared import Place, PodSettings, TimestampColumn
from container_component_src.values import LocalPath

EXAMPLE_ROWS, EXAMPLE_CHANNELS, EXAMPLE_EVENTS = 1_100_000, 44, 28


def _age(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,5})([hdw])", value)
    if not found:
        raise ValueError("give a number of hours, days or weeks, as in 12h, 30d or 8w")
    return timedelta(**{{"h": "hours", "d": "days", "w": "weeks"}[found[2]]: int(found[1])})


Age = Annotated[timedelta, BeforeValidator(_age)]


class GenerateTelemetry(TimestampColumn):
    """Arguments of `generate_telemetry`."""

    command: ClassVar[str] = "generate_telemetry"

    target_path: LocalPath = option("Local folder for telemetry/YEAR.parquet and anomaly_reports.xlsx.")
    rows: int = option("Rows of all archives.", EXAMPLE_ROWS, ge=1)
    channels: int = option("Float channels.", EXAMPLE_CHANNELS, ge=1)
    anomalies: int = option("Reported events.", EXAMPLE_EVENTS, ge=0)
    seed: int = option("Seed of every random choice.", 42, ge=0)


class Doctor(ReportTable, TimestampColumn, Place):
    """Arguments of `doctor`."""

    command: ClassVar[str] = "doctor"

    archives_path: str = option("Folder or prefix with the parquet archives. Empty: not checked.", "")
    reports_path: str = option("The anomaly reports. Empty: not checked.", "")
    feedback_path: str = option("The verdicts on alarms. Empty: not checked.", "")
    work_dir: LocalPath = option("Where local runs write.", Path("local_data"))
    image: str = option("Image of the steps, on a cluster. Empty: no pod is tried.", "")
    s3_secret: SecretName = option("Secret of the steps, on a cluster.", PodSettings.model_construct().s3_secret)
    service_account: str = option("Service account of the steps, on a cluster. Empty: your own rights are checked.", "")
    pull_image: bool = flag("Start a pod of the image, which looks for the inputs from there.")
    data_root: str = option("Where the datasets of runs go; a small file is written there. Empty: not checked.", "")
    config: LocalPath | None = option(
        "Configuration whose [resources] are compared with the quotas of the namespace, and whose pull secret, labels "
        "and annotations the tried pod gets.",
        None,
    )


class Cleanup(Place):
    """Arguments of `cleanup`."""

    command: ClassVar[str] = "cleanup"

    run_id: str = option("ID of the run in the pipeline.", "", envvar=RUN_ID_VARIABLE)
    data: bool = flag("Delete the data of old runs below --data-root instead.")
    data_root: str = option("With --data: the data root of the runs.", "")
    older_than: Age | None = option(
        "With --data: delete runs to which nothing was written for this time (12h, 30d, 8w).", None
    )
    dry_run: bool = flag("With --data: say what would be deleted, and delete nothing.")

    @model_validator(mode="after")
    def _options_belong_together(self) -> Self:
        if self.data and (not self.data_root or self.older_than is None):
            raise ValueError("--data needs --data-root and --older-than; say which runs to delete")
        if not self.data and (self.data_root or self.older_than is not None or self.dry_run):
            raise ValueError("--data-root, --older-than and --dry-run are for --data; add it, or leave them out")
        return self
