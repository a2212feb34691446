"""Distributed training on this machine: one process per node, started as the training operator starts its pods."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import click
import psutil

from container_component_src import storage
from container_component_src.backends.local.processes import (
    LOOPBACK,
    free_ports,
    process_groups,
    share_of_cores,
    start_process,
)
from container_component_src.errors import InputError, StepError
from container_component_src.steps.training import TrainingArguments, TrainingJob, training_command

SHOWN_LINES = 3  # number of lines of a failed process in the error

logger = logging.getLogger(__name__)


class LocalTrainer:
    """Trains in processes on this machine."""

    def train(self, job: TrainingJob) -> None:
        """Run the training program in `num_gpu_nodes` processes and wait for all of them.

        The output of the first process appears on stdout as it comes, that of the others in the log. No process is left
        behind, even if the training fails.

        Raises:
            InputError: A process refused its input.
            StepError: A process failed, or the job took longer than its timeout.
        """
        arguments = absolute(job.arguments).model_copy(update={"run_as_pytorchjob": True})
        command = training_command(arguments)
        count, (port,) = arguments.num_gpu_nodes, free_ports(1)
        with process_groups() as processes:
            for rank in range(count):
                start_process(processes, command, share_of_cores(count) | operator_environment(rank, count, port))
            _wait([_Node(rank, process) for rank, process in enumerate(processes)], job.timeout)


def operator_environment(rank: int, nodes: int, port: int) -> dict[str, str]:
    """Return the variables that the training operator sets in the pod of a rank."""
    return {
        "PYTHONUNBUFFERED": "1",
        "MASTER_ADDR": LOOPBACK,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(nodes),
        "RANK": str(rank),
        "PET_MASTER_ADDR": LOOPBACK,
        "PET_MASTER_PORT": str(port),
        "PET_NNODES": str(nodes),
        "PET_NODE_RANK": str(rank),
        "PET_NPROC_PER_NODE": "1",
    }


def absolute(arguments: TrainingArguments) -> TrainingArguments:
    """Return the arguments with paths that do not depend on the working directory."""
    names = ("train_df_path", "val_df_path", "model_output_file")
    return arguments.model_copy(update={name: storage.resolve(getattr(arguments, name)).uri for name in names})


@dataclass(frozen=True)
class _Node:
    """Process of one rank."""

    rank: int
    process: psutil.Popen
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_LINES))

    def follow(self, ended: "SimpleQueue[_Node]") -> None:
        """Print or log the output line by line, and put the node into the queue when the process has ended."""
        for line in self.process.stdout:
            text = line.rstrip()
            if self.rank == 0:
                click.echo(text)
            else:
                logger.info("rank %d: %s", self.rank, text)
            if text:
                self.last_lines.append(text)
        self.process.wait()
        ended.put(self)

    def check(self) -> None:
        """Check that an ended process succeeded.

        Raises:
            InputError: It refused its input.
            StepError: It failed for another reason.
        """
        code = self.process.returncode
        if code:
            ending = " | ".join(self.last_lines) or "no output"
            kind = InputError if code == InputError.exit_code else StepError
            raise kind(f"rank {self.rank} of the training ended with code {code}: {ending}")


def _wait(nodes: Sequence[_Node], timeout: float) -> None:
    """Wait until all processes have ended, or the first has failed."""
    ended: SimpleQueue[_Node] = SimpleQueue()
    for node in nodes:
        threading.Thread(target=node.follow, args=(ended,), daemon=True).start()
    deadline = time.monotonic() + timeout
    for _ in nodes:
        try:
            ended.get(timeout=max(0.0, deadline - time.monotonic())).check()
        except Empty:
            raise StepError(f"the training took longer than {timeout:g} s", fix="raise --job-timeout") from None
