"""Tuning on this machine: the trial command of the cluster as processes, read by the rules of Katib's collector."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from container_component_src import storage
from container_component_src.backends.local.processes import process_groups, share_of_cores, start_process
from container_component_src.errors import StepError
from container_component_src.progress import Progress
from container_component_src.scratch import scratch_directory
from container_component_src.steps.training import Hyperparameters, TrainingArguments, training_command
from container_component_src.steps.tuning import Experiment, to_dict
from container_component_src.tuning.collector import OBJECTIVE, MetricsUnavailableError, collect, objective
from container_component_src.tuning.experiment import Trial, TrialState, TuningResult
from container_component_src.tuning.sampling import make_sampler

logger = logging.getLogger(__name__)

TrialCommand = Callable[[TrainingArguments], list[str]]

SHOWN_LINES = 20  # number of lines of a failed trial's output in the log


@dataclass(frozen=True)
class LocalTuner:
    """Runs the trials of an experiment as processes on this machine."""

    trial_command: TrialCommand = training_command  # builds the command line of a trial

    def tune(self, experiment: Experiment) -> TuningResult:
        """Run an experiment.

        Points are chosen batch by batch, and results are told to the sampler in the order of the trials. So the outcome
        depends on the seed and on the number of parallel trials, but not on which trial ends first.

        Args:
            experiment: What to search. Relative paths count from the working directory.

        Raises:
            InputError: The experiment asks for something that only Katib offers.
            StepError: More trials failed than the experiment allows, or none succeeded.
        """
        uris = {name: storage.resolve(getattr(experiment, name)).uri for name in ("train_df_path", "val_df_path")}
        experiment = experiment.model_copy(update=uris)
        sampler = make_sampler(experiment)
        trials: list[Trial] = []
        progress = Progress("trial", experiment.trial_count)
        progress.log(0)
        with scratch_directory() as scratch:
            batch = _Batch(experiment, self.trial_command, scratch)
            while len(trials) < experiment.trial_count:
                wanted = min(experiment.parallel_count, experiment.trial_count - len(trials))
                points = [sampler.ask() for _ in range(wanted)]
                for trial in batch.run(points, first_number=len(trials)):
                    sampler.tell(trial)
                    trials.append(trial)
                    _log_trial(trials, progress)
                _check_failures(trials, experiment, scratch)
        return TuningResult(trials=tuple(trials))


@dataclass(frozen=True)
class _Batch:
    """Runs trials at the same time."""

    experiment: Experiment
    trial_command: TrialCommand
    scratch: Path

    def run(self, points: Sequence[Hyperparameters], first_number: int) -> list[Trial]:
        """Run one trial per point, and leave none of their processes behind."""
        started = time.monotonic()
        seconds: dict[int, float] = {}  # by process id, for processes that ended in time

        def note_end(process: psutil.Process) -> None:
            seconds[process.pid] = time.monotonic() - started

        with process_groups() as processes:
            for number, point in enumerate(points, first_number):
                self._start(processes, number, point)
            psutil.wait_procs(processes, timeout=self.experiment.trial_timeout, callback=note_end)
        return [
            self._outcome(number, point, process, seconds.get(process.pid))
            for number, (point, process) in enumerate(zip(points, processes, strict=True), first_number)
        ]

    def _start(self, processes: list[psutil.Popen], number: int, point: Hyperparameters) -> None:
        folder = self.scratch / f"trial-{number}"
        folder.mkdir()
        command = self.trial_command(self.experiment.arguments(point, str(folder / "bundle")))
        environment = share_of_cores(self.experiment.parallel_count)
        environment["TMPDIR"] = str(folder)  # what a trial leaves behind is deleted with the folder
        start_process(processes, command, environment, _log_of(self.scratch, number))

    def _outcome(self, number: int, point: Hyperparameters, process: psutil.Popen, seconds: float | None) -> Trial:
        lines = _read_log(self.scratch, number)
        state, value, failure = TrialState.FAILED, None, ""
        if seconds is None:
            seconds = self.experiment.trial_timeout
            state, failure = TrialState.TIMEOUT, f"stopped after {seconds:g} s, its --trial-timeout"
        elif process.returncode:
            failure = f"exit code {process.returncode}"
        else:
            try:
                state, value = TrialState.SUCCEEDED, objective(lines)
            except MetricsUnavailableError as error:
                failure = str(error)
        return Trial(
            number=number,
            hyperparameters=point,
            state=state,
            objective=value,
            seconds=seconds,
            epochs=len(collect(lines, OBJECTIVE)),
            failure=failure,
        )


def _log_of(scratch: Path, number: int) -> Path:
    return scratch / f"trial-{number}.log"


def _read_log(scratch: Path, number: int) -> list[str]:
    return _log_of(scratch, number).read_text(encoding="utf-8", errors="replace").split("\n")


def _log_trial(trials: Sequence[Trial], progress: Progress) -> None:
    trial = trials[-1]
    chosen = " ".join(f"{name}={value}" for name, value in to_dict(trial.hyperparameters).items())
    outcome = trial.failure if trial.objective is None else f"{OBJECTIVE} {trial.objective:.6g}"
    objectives = [trial.objective for trial in trials if trial.objective is not None]
    best = f"{min(objectives):.6g}" if objectives else "none"
    state = trial.state.value
    logger.info("trial %d %s: %s: %s in %.1f s", trial.number, chosen, state, outcome, trial.seconds)
    progress.log(len(trials), f"best {OBJECTIVE} {best}")


def _check_failures(trials: Sequence[Trial], experiment: Experiment, scratch: Path) -> None:
    """Stop the experiment if too many trials have failed, or all of them.

    Raises:
        StepError: Has the last lines of the last failed trial; the log has more, for every failed trial.
    """
    failed = [trial for trial in trials if trial.state is not TrialState.SUCCEEDED]
    if len(failed) <= experiment.max_failed_trials and len(failed) < experiment.trial_count:
        return
    for trial in failed:
        lines = "\n".join(_read_log(scratch, trial.number)[-SHOWN_LINES:])
        logger.error("trial %d failed (%s); its last lines:\n%s", trial.number, trial.failure, lines)
    last = failed[-1]
    ending = [line.strip() for line in _read_log(scratch, last.number) if line.strip()][-3:]
    raise StepError(
        f"{len(failed)} of {len(trials)} trials failed (--max-failed-trials is {experiment.max_failed_trials}); "
        f"trial {last.number}: {last.failure}: {' | '.join(ending) or 'no output'}"
    )
