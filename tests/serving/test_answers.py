import numpy as np

from container_component_src.serving.answers import TOP_CHANNELS, answers


def test_an_answer_names_the_channels_with_the_highest_parts() -> None:
    parts = np.array([[1.0, -0.5, 3.0]])
    observed = np.array([[10.0, 20.0, 30.0]])
    assert answers([3.5], parts, observed, ("a", "b", "c"), threshold=3.0) == [
        {
            "score": 3.5,
            "threshold": 3.0,
            "alarm": True,
            "top_channels": [
                {"channel": "c", "share": 0.75, "observed": 30.0},
                {"channel": "a", "share": 0.25, "observed": 10.0},
                {"channel": "b", "share": 0.0, "observed": 20.0},
            ],
        }
    ]


def test_a_score_at_the_threshold_is_no_alarm_and_shares_of_nothing_are_zero() -> None:
    (answer,) = answers([-2.0], np.array([[-1.0, -1.0]]), np.zeros((1, 2)), ("a", "b"), threshold=-2.0)
    assert not answer["alarm"]
    assert [channel["share"] for channel in answer["top_channels"]] == [0.0, 0.0]


def test_of_many_channels_only_the_first_few_are_named() -> None:
    parts = np.arange(20.0).reshape(2, 10)
    names = tuple("abcdefghij")
    for answer in answers([1.0, 2.0], parts, parts, names, threshold=0.0):
        assert [channel["channel"] for channel in answer["top_channels"]] == list("jihgf")[:TOP_CHANNELS]
