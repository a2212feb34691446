"""Result of the comparison of two models, stored as a JSON file; undefined numbers are null, never NaN."""

from pydantic import Field

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.evaluation.numbers import Fraction
from container_component_src.evaluation.result import Interval, ThresholdMetrics
from container_component_src.promotion.rule import Gain
from container_component_src.steps.promotion import PromotionLimits
from container_component_src.values import Frozen


class ComparedModel(Frozen):
    """A model on the compared rows, with its own scaler and its own alarm rule."""

    bundle: str  # URI
    version: str
    metrics: ThresholdMetrics
    roc_auc: Fraction
    pr_auc: Fraction
    intervals: dict[str, Interval]  # by metric
    detected: tuple[bool, ...]  # by event


class ComparedEvent(Frozen):
    """A reported anomaly in the compared rows."""

    id: str
    title: str
    start: int  # nanoseconds since 1970 UTC


class ComparedRows(Frozen):
    """The rows on which two models are compared."""

    rows: int
    start: int  # first row, nanoseconds since 1970 UTC
    end: int  # last row
    events: tuple[ComparedEvent, ...]  # by start


class BothModels(Frozen):
    """Champion and challenger side by side."""

    champion: ComparedModel
    challenger: ComparedModel
    rows: ComparedRows
    gain: Gain
    gains: dict[str, Interval] = Field(default_factory=dict)  # challenger minus champion on equal resamples, by metric
    drift: tuple[str, ...] | None = (
        None  # why the data of the champion counts as drifted; empty: no drift; None: unknown
    )


class Comparison(Frozen):
    """Result of `compare_models`."""

    promoted: bool
    reason: str  # in one line, with the numbers
    challenger_version: str
    champion: str  # URI; empty: there is none
    champion_version: str  # empty if it is unknown
    problem: str  # why the champion cannot be compared; empty: it can, or there is none
    limits: PromotionLimits
    models: BothModels | None  # None if they are not compared

    def metadata(self) -> dict[str, str | float]:
        """Return what the pipeline shows beside the artifact."""
        shown: dict[str, str | float] = {"decision": "promoted" if self.promoted else "refused", "reason": self.reason}
        if self.models:
            shown |= {
                "champion_composite_f1": self.models.gain.champion,
                "challenger_composite_f1": self.models.gain.challenger,
            }
        return shown

    def write(self, uri: str) -> None:
        """Write the JSON file."""
        storage.resolve(uri).write_bytes(self.model_dump_json(indent=1).encode())


def read_comparison(uri: str, challenger_version: str) -> Comparison:
    """Read the JSON file of the comparison of a model.

    Raises:
        InputError: The file is missing, is not a comparison, or belongs to another model.
    """
    found = storage.read_document(uri, Comparison, "a comparison of models", "run compare_models again")
    if found.challenger_version != challenger_version:
        raise InputError(f"{uri}: not the comparison of this model", fix="run compare_models on the model")
    return found
