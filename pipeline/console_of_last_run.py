"""Open the operator's console on the alarms of the last local run, until Ctrl-C: `make console`."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from container_component_src.command_line import run_command
from container_component_src.console.server import serve
from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle
from container_component_src.model.frames import open_data
from container_component_src.model.scoring import scored_frames
from container_component_src.processes import PROJECT_ROOT
from container_component_src.settings import load_settings
from container_component_src.steps.console import CONSOLE_PORT, Console
from container_component_src.storage import resolve
from container_component_src.telemetry.payload_log import Payload, write_payloads
from pipeline.options import HomePath
from pipeline.run_folders import LAST_RUN, RUN_FIRST, last_summary


@click.command(context_settings={"max_content_width": 120})
@click.option(
    "--config",
    "config_file",
    type=HomePath(path_type=Path, dir_okay=False),
    default=PROJECT_ROOT / "config.toml",
    help="Configuration of the run; config.toml of the project by default.",
)
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=CONSOLE_PORT, show_default=True, help="Port to listen on."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def console_of_last_run(config_file: Path, port: int, debug: bool) -> None:
    """Open the operator's console on the alarms of the last local run; Ctrl-C stops it."""
    paths = load_settings(config_file).paths
    work_dir = PROJECT_ROOT / paths.work_dir
    arguments = last_console(work_dir, port, paths.feedback)
    if arguments.payload_log and not Path(arguments.payload_log).exists():
        click.echo("scoring the test set, for measured and expected values")
        write_test_set(_artifacts(work_dir)["scaled_test"], arguments.bundle, Path(arguments.payload_log))
    click.echo(f"operator's console: http://localhost:{port}\nverdicts go to {arguments.feedback}; Ctrl-C stops it")
    try:
        serve(arguments)
    except KeyboardInterrupt:
        click.echo("stopped")


def last_console(work_dir: Path, port: int, feedback: str = "") -> Console:
    """Return the arguments of the console of the last run.

    Args:
        work_dir: Folder of local runs.
        port: Port to listen on.
        feedback: Table of verdicts of the configuration; empty: `feedback.csv` in the folder.

    Raises:
        InputError: There is no run, or it has no alarms.
    """
    artifacts, summary = _artifacts(work_dir), last_summary(work_dir / LAST_RUN)
    title = summary.get("run", {}).get("origin", {}).get("title", "")
    scored = "scaled_test" in artifacts
    return Console(
        alarms=artifacts["alarms"],
        bundle=artifacts["calibrated_model"],
        payload_log=str(work_dir / LAST_RUN / "payload_log") if scored else "",
        feedback=feedback or str(work_dir / "feedback.csv"),
        port=port,
        **({"title": title} if title else {}),
    )


def write_test_set(test_df_path: str, bundle_uri: str, target: Path) -> None:
    """Write a payload log of the rows of a test set, as the service would log them.

    Args:
        test_df_path: Scaled test set.
        bundle_uri: The model bundle.
        target: Folder of the log, which appears when it is complete.

    Raises:
        InputError: The test set or the bundle is missing or damaged, or they do not belong together.
    """
    bundle = Bundle.load_calibrated(bundle_uri)
    part = target.with_name(f"{target.name}.tmp")
    shutil.rmtree(part, ignore_errors=True)
    for payload in _payloads(bundle, test_df_path):
        write_payloads(resolve(str(part)), bundle.info.channels, [payload])
    part.rename(target)


def _payloads(bundle: Bundle, test_df_path: str) -> Iterator[Payload]:
    info = bundle.info
    dataset = open_data(info, test_df_path)
    for scored in scored_frames(bundle.scorer, info.smoother(), dataset, with_expected=True):
        timestamps, scaler = scored.frame.timestamps, info.scaler
        values, expected = (
            scaler.inverse_transform(part) if scaler else part for part in (scored.frame.values, scored.expected)
        )
        yield Payload(
            received=int(timestamps[0]),
            request_id="test set",
            model_version=info.version,
            rows=np.arange(len(timestamps)),
            values=values,
            expected=expected,
            scores=scored.scores,
            smoothed_scores=scored.smoothed,
            alarms=scored.smoothed > info.calibrated.rule.raise_above,
            timestamps=timestamps,
        )


def _artifacts(work_dir: Path) -> dict[str, str]:
    """Return the artifacts of the last run by name.

    Raises:
        InputError: There is no run, or it has no alarms.
    """
    artifacts: dict[str, str] = last_summary(work_dir / LAST_RUN)["artifacts"]
    if not {"alarms", "calibrated_model"} <= artifacts.keys():
        raise InputError(f"{work_dir / LAST_RUN}: the last run has no alarms", fix=RUN_FIRST)
    return artifacts


if __name__ == "__main__":
    sys.exit(run_command(console_of_last_run, sys.argv[1:], "console_of_last_run"))
