"""Tests that the commands of the live tests, which run on a cluster only, match the command line."""

import click
import pytest

from container_component_src.main import cli
from tests.cluster.live.data import Commands
from tests.cluster.live.target import Target

COMMANDS = Commands(
    Target("namespace", "image", "s3://bucket", "s3creds", "default-editor", "100m", "2Gi"), "s3://b/run"
)
LINES = [
    *COMMANDS.data_steps(),
    *(COMMANDS.split(2022), COMMANDS.preprocess(), COMMANDS.tune(), COMMANDS.train()),
    *(COMMANDS.calibrate(), COMMANDS.evaluate(), COMMANDS.deploy("service", ready_timeout="60")),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_options_of_the_live_tests_are_valid(line: list[str]) -> None:
    name, *options = line
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, options)
