import numpy as np
import pytest
import torch

from container_component_src.model import scoring
from container_component_src.model.scoring import RowScorer
from container_component_src.model.vae import TimeStampVAE
from tests.model.datasets import make_values


def test_contributions_do_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = TimeStampVAE(5, 2, (8, 4)).eval()
    model.log_variance.data = torch.linspace(-2, 1, 5)
    values = make_values(23, seed=1)
    with torch.no_grad():
        expected = [output.numpy() for output in model(torch.from_numpy(values))]
    scorer = RowScorer(model)
    contributions = scorer.contributions(values)
    assert contributions.dtype == np.float32
    np.testing.assert_allclose(contributions, expected[0], rtol=1e-5)
    np.testing.assert_allclose(scorer.scores(values), expected[0].sum(axis=1), rtol=1e-5)
    monkeypatch.setattr(scoring, "_BATCH_ROWS", 7)
    for found, wanted in zip(scorer.contributions_and_reconstruction(values), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_no_rows() -> None:
    assert RowScorer(TimeStampVAE(5, 2, (8, 4))).contributions(np.empty((0, 5), dtype=np.float32)).shape == (0, 5)


def test_outlier_raises_the_contribution_of_its_channel() -> None:
    torch.manual_seed(0)
    values = make_values(10, seed=1)
    values[4, 2] += 50
    contributions = RowScorer(TimeStampVAE(5, 2, (8, 4)).eval()).contributions(values)
    assert contributions.argmax() == 4 * 5 + 2
