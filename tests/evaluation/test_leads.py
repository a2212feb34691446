import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.evaluation.leads import comparable, leads
from tests.evaluation.gate_cases import baseline, evaluation

NUMBERS = st.floats(0, 1e6)


def test_the_model_is_compared_with_the_best_baseline_of_each_metric() -> None:
    ranking, alarms = baseline("mahalanobis", pr_auc=0.75, composite_f1=0.1), baseline("z_score", 0.2, 0.7)
    pr_auc, composite_f1 = leads(evaluation(ranking, alarms, pr_auc=0.8, composite_f1=0.7))
    assert (pr_auc.metric, pr_auc.own, pr_auc.best, pr_auc.baseline, pr_auc.holds) == (
        "pr_auc",
        0.8,
        0.75,
        ranking,
        True,
    )
    assert (composite_f1.metric, composite_f1.own, composite_f1.best) == ("composite_f1", 0.7, 0.7)
    assert (composite_f1.baseline, composite_f1.holds) == (alarms, False)  # a model that is no better does not lead


def test_without_baselines_there_are_no_leads() -> None:
    assert leads(evaluation()) == ()


@pytest.mark.parametrize(
    ("value", "limit", "texts"),
    [
        (0.41374, 0.99, ("0.414", "0.99")),
        (0.29996, 0.3, ("0.29996", "0.3")),
        (0.5, 0.99951, ("0.5", "0.99951")),
        (0.70113, 0.70119876, ("0.7011", "0.7012")),
        (0.7011987654, 0.7011987654, ("0.701", "0.701")),
        (12345.6, 5, ("12300", "5")),
        (0.1 + 0.2, 0.3, ("0.30000000000000004", "0.3")),
    ],
)
def test_numbers_are_shown_with_the_digits_that_tell_them_apart(
    value: float, limit: float, texts: tuple[str, str]
) -> None:
    assert comparable(value, limit) == texts


@given(NUMBERS, NUMBERS)
def test_the_shown_numbers_are_in_the_order_of_the_numbers(value: float, limit: float) -> None:
    shown, wanted = map(float, comparable(value, limit))
    assert (shown < wanted, shown > wanted) == (value < limit, value > limit)
