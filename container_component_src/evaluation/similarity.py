"""Events that resemble each other, by the channels that their scores come from."""

from collections.abc import Sequence

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.evaluation.event_result import ChannelExcess, SimilarEvent

MOST_SIMILAR = 3  # events that are named for an event
LEAST_SIMILARITY = 0.5


def similar_events(rankings: Sequence[Sequence[ChannelExcess]]) -> list[tuple[SimilarEvent, ...]]:
    """Return the events that are most similar to each event, most similar first.

    The similarity is the cosine between the vectors of what the channels contribute beyond the usual; what they
    contribute less does not count. It is 1 if the same channels stand out in the same proportions, and 0 if no channel
    stands out in both events. Events with less than `LEAST_SIMILARITY` are left out.

    Args:
        rankings: All channels of each event with their excess, in any order.
    """
    vectors = _unit_vectors(rankings)
    return [_most_similar(vectors, position) for position in range(len(vectors))]


def _unit_vectors(rankings: Sequence[Sequence[ChannelExcess]]) -> Float64Array:
    """Return the positive excess of the channels, divided by its length, [events, channels]; zeros if there is none."""
    columns = {item.channel: column for column, item in enumerate(rankings[0])} if rankings else {}
    excess = np.zeros((len(rankings), len(columns)))
    for row, ranking in zip(excess, rankings, strict=True):
        row[[columns[item.channel] for item in ranking]] = [max(item.excess, 0.0) for item in ranking]
    excess /= np.maximum(excess.max(axis=1, keepdims=True, initial=0), np.finfo(float).tiny)  # squares are then finite
    lengths = np.linalg.norm(excess, axis=1, keepdims=True)
    return np.asarray(np.divide(excess, lengths, out=np.zeros_like(excess), where=lengths > 0))


def _most_similar(vectors: Float64Array, position: int) -> tuple[SimilarEvent, ...]:
    similarity = np.minimum(vectors @ vectors[position], 1.0)  # rounding may exceed 1
    similarity[position] = 0
    nearest = np.argsort(-similarity, kind="stable")[:MOST_SIMILAR]
    return tuple(
        SimilarEvent(position=int(other), similarity=float(similarity[other]))
        for other in nearest
        if similarity[other] >= LEAST_SIMILARITY
    )
