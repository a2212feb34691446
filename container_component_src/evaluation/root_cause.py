"""Metrics of the channels that are named as the cause of an event."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from container_component_src.evaluation.event_result import ChannelExcess
from container_component_src.evaluation.operator_metrics import f_beta
from container_component_src.evaluation.result import RootCause
from container_component_src.telemetry.events import Event


class Diagnosis(NamedTuple):
    """Channels that the scores of an event come from."""

    ranking: tuple[ChannelExcess, ...]  # all channels, largest excess first
    in_alarm: frozenset[str]  # channels whose mean contribution in the event exceeds their own threshold


def root_cause(diagnoses: Mapping[Event, Diagnosis], detected: Collection[Event]) -> RootCause | None:
    """Return the means over the events whose reports name causes; None if no report does.

    Args:
        diagnoses: All events with rows.
        detected: Those with an alarm; no channel is in alarm in the others.
    """
    events = [event for event in diagnoses if event.causes]
    if not events:
        return None
    rankings = [[item.channel for item in diagnoses[event].ranking] for event in events]
    channels = [
        channel_scores(diagnoses[event].in_alarm if event in detected else frozenset(), event, diagnoses)
        for event in events
    ]
    precision, recall, f05 = np.mean(channels, axis=0).tolist()
    return RootCause(
        events=len(events),
        **{
            f"hit_rate_{percent}": float(
                np.mean([hit_rate(names, event.causes, percent) for names, event in zip(rankings, events, strict=True)])
            )
            for percent in (100, 150)
        },
        channel_precision=precision,
        channel_recall=recall,
        channel_f05=f05,
    )


def hit_rate(ranking: Sequence[str], causes: Sequence[str], percent: int) -> float:
    """Return the share of the causes among the first channels of a ranking.

    This is HitRate@P% of Su et al. 2019, "Robust Anomaly Detection for Multivariate Time Series through Stochastic
    Recurrent Neural Network": the first channels are P % as many as there are causes, rounded down.
    """
    first = ranking[: len(causes) * percent // 100]
    return len(set(first) & set(causes)) / len(causes)


def channel_scores(in_alarm: Collection[str], event: Event, events: Collection[Event]) -> tuple[float, float, float]:
    """Return precision, recall and F0.5 of the channels in alarm during an event.

    This is the channel-aware score of Kotowski et al. 2024 (see `operator_metrics`). A channel that is a cause of
    another event at the same time is no false one.
    """
    others = (other.causes for other in events if other.start < event.end and event.start < other.end)
    right = len(set(in_alarm) & set(event.causes))
    wrong = len(set(in_alarm).difference(event.causes, *others))
    precision = right / (right + wrong) if right else 0.0
    recall = right / len(event.causes)
    return precision, recall, float(f_beta(precision, recall))
