"""Runs of an experiment, as a simulated platform tells of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from container_component_src.errors import InputError
from container_component_src.report.headline import headline
from container_component_src.steps.shared import Origin
from pipeline import runs
from pipeline.compilation import compile_pipeline
from pipeline.remote.history import examined, list_runs, read_headline
from pipeline.remote.workspace import Workspace
from tests.evaluation.gate_cases import evaluation
from tests.pipeline.remote.argo import Task, gate_driver
from tests.pipeline.remote.gateways import PROFILE
from tests.pipeline.remote.platform_server import Platform
from tests.pipeline.remote.runs_api import Moment
