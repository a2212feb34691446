"""Trials table: validation, and plots with the best trial on top."""

from pathlib import Path

import pytest

from container_component_src.errors import InputError
from container_component_src.report.trials import read_trials, trial_figures, trial_summary

TABLE = """trial,state,val_loss,seconds,latent_dim,hidden_dims,lr
2,succeeded,40.5,3.0,16,"128,64",0.001
0,succeeded,42.0,2.0,8,"64,32",0.01
1,failed,,1.0,8,"128,64",0.001
3,succeeded,41.0,2.0,16,"64,32",0.001
"""


def write(folder: Path, text: str) -> str:
    (folder / "trials.csv").write_text(text)
    return str(folder / "trials.csv")


def test_trials_are_ordered_and_unfinished_ones_are_only_counted(tmp_path: Path) -> None:
    trials = read_trials(write(tmp_path, TABLE))
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.tuned["hidden_dims"] for trial in trials] == ["64,32", "128,64", "128,64", "64,32"]
    assert (
        trial_summary(trials)
        == "3 of 4 trials finished. Trial 2 has the smallest validation loss, 40.5 nats per time step."
    )
    figures = trial_figures(trials)
    points, best = figures["objective"]["data"]
    assert points["x"] == [0, 2, 3]
    assert best["y"] == [42.0, 40.5, 40.5]


def test_parallel_coordinates_end_at_the_loss_with_the_best_on_top(tmp_path: Path) -> None:
    figure = trial_figures(read_trials(write(tmp_path, TABLE)))["parallel"]
    assert figure["layout"]["xaxis"]["ticktext"] == ["latent_dim", "hidden_dims", "lr", "val_loss"]
    worst, middle, best = figure["data"]
    assert best["name"] == "Best trial"
    assert best["y"] == [1.0, 0.0, 0.0, 0.0]  # values that are not numbers sort as text: 128,64 before 64,32
    assert worst["y"] == [0.0, 1.0, 1.0, 1.0]
    assert middle["y"] == [1.0, 1.0, 0.0, pytest.approx(1 / 3)]
    assert [trace["showlegend"] for trace in figure["data"]] == [True, False, True]


def test_hyperparameters_that_are_equal_in_all_trials_are_named_instead_of_shown(tmp_path: Path) -> None:
    table = """trial,state,val_loss,latent_dim,beta,lr,batch_size
0,succeeded,-44.9,8,1.0,0.00123456,1024
1,succeeded,-44.8,16,1.0,0.00123456,1024
2,failed,,16,2.0,0.00123456,1024
"""
    trials = read_trials(write(tmp_path, table))
    figures = trial_figures(trials)
    layout = figures["parallel"]["layout"]
    assert layout["xaxis"]["ticktext"] == ["latent_dim", "val_loss"]
    assert [note["text"] for note in layout["annotations"][-5:]] == [
        "-44.90",
        "-44.88",
        "-44.85",
        "-44.82",
        "-44.80",
    ]
    assert figures["objective"]["data"][0]["text"] == ["latent_dim 8", "latent_dim 16"]
    assert trial_summary(trials).endswith(" The same in all of them: beta 1.0, lr 0.00123, batch_size 1024.")


def test_a_single_trial_has_no_parallel_coordinates(tmp_path: Path) -> None:
    trials = read_trials(write(tmp_path, "trial,state,val_loss,lr,detector\n0,succeeded,1.0,0.1,auto\n"))
    assert list(trial_figures(trials)) == ["objective"]
    assert trial_summary(trials).endswith(" The same in all of them: lr 0.1, detector auto.")


def test_a_table_without_a_finished_trial_has_no_figures(tmp_path: Path) -> None:
    trials = read_trials(write(tmp_path, "trial,state,val_loss,lr\n0,failed,,0.1\n"))
    assert trial_figures(trials) == {}
    assert trial_summary(trials) == "0 of 1 trials finished."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trial,state\n0,failed\n", "column 'val_loss' is missing"),
        ("trial,state,val_loss\n0,succeeded,1.0\n1,succeeded,low\n", "column 'val_loss', row 2 is not a number"),
        ("trial,state,val_loss\n,succeeded,1.0\n", "column 'trial', row 1 is not a number"),
        ("trial,state,val_loss\n0,succeeded,1.0,2.0\n", "not a CSV table"),
        ('trial,state,val_loss\n0,"succeeded,1.0\n', "not a CSV table"),
        ("", "not a CSV table"),
    ],
)
def test_rejects_another_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_trials(write(tmp_path, text))
