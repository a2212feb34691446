"""Measures training and scoring on a GPU beside bare loops; without a GPU it says so and ends."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@click.command()
@click.option("--rows", type=click.IntRange(1000), default=500_000, show_default=True, help="Rows of 181 channels.")
@click.option("--batch-sizes", default="256,1024,4096,16384,65536", show_default=True, help="Rows of a step.")
@click.option("--seconds", type=float, default=2.0, show_default=True, help="Least duration of a measurement.")
@click.option("--results", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for the results.")
def gpu(rows: int, batch_sizes: str, seconds: float, results: Path | None) -> None:
    """Print rows per second of training and scoring, the share of the GPU's time, and the ratio to bare loops."""
    import torch  # noqa: PLC0415 - slow

    if not torch.cuda.is_available():
        click.echo("there is no GPU, so nothing is measured")
        return
    from rich.console import Console  # noqa: PLC0415

    from benchmarks.gpu_loops import measure  # noqa: PLC0415
    from benchmarks.table import detail_table  # noqa: PLC0415

    sizes = [int(size) for size in batch_sizes.split(",")]
    console = Console(width=None if sys.stdout.isatty() else 160)
    details = []
    for detail in measure(torch.device("cuda", 0), rows, sizes, seconds):
        details.append(detail)
        console.print(f"{detail.name}: {detail.value:,.4g} {detail.unit}")
        if results:
            results.parent.mkdir(parents=True, exist_ok=True)
            content = {"gpu": torch.cuda.get_device_name(), "details": [asdict(item) for item in details]}
            results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    console.print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    console.print(detail_table(details))


if __name__ == "__main__":
    gpu()
