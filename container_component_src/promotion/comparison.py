"""Comparison of a new model, the challenger, with the deployed one, the champion, on the same rows."""

import logging

from container_component_src.errors import InputError
from container_component_src.evaluation.gate import GateResult
from container_component_src.model.bundle import Bundle
from container_component_src.promotion.champion_drift import DriftCheck
from container_component_src.promotion.result import BothModels, ComparedEvent, ComparedRows, Comparison
from container_component_src.promotion.rule import Evidence, Gain, decide
from container_component_src.promotion.scoring import ScoredModel, last_days, score_model
from container_component_src.steps.promotion import PromotionLimits
from container_component_src.telemetry.dataset import Dataset

_GAINS = (
    *("composite_f1", "event_f05", "event_recall", "alarm_precision", "false_alarms_per_day", "alarms_per_day"),
    *("roc_auc", "pr_auc"),
)

_log = logging.getLogger(__name__)


def compare_models(
    challenger_uri: str,
    champion_uri: str,
    test_uri: str,
    limits: PromotionLimits,
    drift: DriftCheck = DriftCheck(),  # noqa: B008 - frozen
    days: float = 0.0,
    gate: GateResult | None = None,
) -> Comparison:
    """Score both models on the same test rows, and decide whether the challenger replaces the champion.

    Args:
        challenger_uri: Calibrated bundle of the new model.
        champion_uri: Bundle of the deployed model; empty: there is none.
        test_uri: Labelled test dataset, not scaled.
        limits: Conditions of the promotion.
        drift: How it is found whether the data of the champion has drifted.
        days: Last days of the dataset to compare on; 0: all of it.
        gate: Result of the gate, which the challenger must pass; None: it is not asked.

    Raises:
        InputError: The challenger or the test set is missing or damaged. A champion that cannot be compared is no
            error: it stays deployed, and the result says why.
    """
    challenger, test = Bundle.load_calibrated(challenger_uri), Dataset.open(test_uri)
    if not test.manifest.labelled:
        raise InputError(f"{test_uri}: the test data has no labels", fix="name the test dataset of the split step")
    both, version, problem = _compare_with(champion_uri, (challenger_uri, challenger), test, days, drift)
    decision = decide(
        Evidence(
            failed_gate=None if gate is None or gate.passed else gate.reason,
            has_champion=bool(champion_uri),
            is_champion=version == challenger.info.version,
            problem=problem,
            gain=both.gain if both else None,
            drift=(both.drift or ()) if both else (),
        ),
        limits,
    )
    level, verdict = (logging.INFO, "promoted") if decision.promoted else (logging.WARNING, "refused")
    _log.log(level, "%s: %s", verdict, decision.reason)
    return Comparison(
        promoted=decision.promoted,
        reason=decision.reason,
        challenger_version=challenger.info.version,
        champion=champion_uri,
        champion_version=version,
        problem=problem,
        limits=limits,
        models=both,
    )


def _compare_with(
    champion_uri: str, challenger: tuple[str, Bundle], test: Dataset, days: float, drift: DriftCheck
) -> tuple[BothModels | None, str, str]:
    """Return both models if they can be compared and differ, the champion's version, and why it cannot be compared."""
    if not champion_uri:
        return None, "", ""
    version = ""
    try:
        champion = Bundle.load_calibrated(champion_uri)
        version = champion.info.version
        same = version == challenger[1].info.version
        return None if same else _side_by_side((champion_uri, champion), challenger, test, days, drift), version, ""
    except InputError as error:
        return None, version, str(error)


def _side_by_side(
    champion: tuple[str, Bundle], challenger: tuple[str, Bundle], test: Dataset, days: float, drift: DriftCheck
) -> BothModels:
    """Score two bundles, each with its URI, on the last days of a test set."""
    since, seed = last_days(test, days), challenger[1].info.seed
    old, new = (score_model(*model, test, since, seed) for model in (champion, challenger))
    gains = new.resamples.differences(old.resamples, _GAINS) if new.resamples and old.resamples else {}
    models = {"champion": old.summary(), "challenger": new.summary()}
    return BothModels(
        **models,
        rows=_rows(new),
        gain=Gain(
            **{name: model.metrics.composite_f1 for name, model in models.items()},
            **{f"{name}_false_alarms_per_day": model.metrics.false_alarms_per_day for name, model in models.items()},
            interval=gains.get("composite_f1"),
        ),
        gains=gains,
        drift=drift.reasons(champion[1], (*test.manifest.events, *test.manifest.rare_nominal)),
    )


def _rows(scored: ScoredModel) -> ComparedRows:
    data = scored.alarms.data
    return ComparedRows(
        rows=len(data.timestamps),
        start=int(data.timestamps[0]),
        end=int(data.timestamps[-1]),
        events=tuple(
            ComparedEvent(id=event.id, title=event.title, start=event.start) for event in data.events_with_rows
        ),
    )
