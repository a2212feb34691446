"""The model card beside a bundle, as JSON and markdown: what the bundle knows of its model, in plain words.

The fields are those of Mitchell et al. 2019, "Model Cards for Model Reporting", as far as a bundle knows them. The card
follows from the description of the bundle alone, so it is the same whenever the bundle is, and no part of its version.
"""

from collections.abc import Iterable, Mapping

from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.alarms.rule import AlarmRule
from container_component_src.model.bundle_info import CARD_JSON, CARD_MARKDOWN, BundleInfo, Calibration
from container_component_src.steps.calibration import AlarmSettings
from container_component_src.steps.training import Detector, Hyperparameters
from container_component_src.storage import Location
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND
from container_component_src.values import Frozen

_USE = (
    "Find times in which telemetry of the channels below departs from what the training data shows, and name the "
    "channels behind it.",
    "A person looks into each alarm. The model is not made to control equipment, nor to replace limits and other "
    "safety functions.",
)
_DETECTORS = {
    Detector.VAE: "a variational autoencoder of windows of time steps",
    Detector.FORECASTER: "a network that forecasts a time step from those before it",
    Detector.ENSEMBLE: "a variational autoencoder and a forecaster, whose scores are combined",
}


class TrainingFacts(Frozen):
    """What a model was trained on, and how."""

    train_rows: int
    val_rows: int
    epochs: int
    best_epoch: int  # from 0; the bundle has its weights
    val_loss: float  # nats per time step
    nodes: int
    seed: int
    scaler: str | None  # None: the values were not scaled
    hyperparameters: Hyperparameters


class ChannelFacts(Frozen):
    """The channels that a model needs, by what it does with them."""

    varying: tuple[str, ...]  # that the network sees
    constant: tuple[str, ...]  # in the training data
    absent: tuple[str, ...]  # without a value in the training data, which the model ignores


class AlarmFacts(Frozen):
    """When a model raises alarms, and how many to expect."""

    settings: AlarmSettings
    rule: AlarmRule
    method: str  # that found the threshold
    expected_false_alarms_per_day: ExpectedRate | None  # in normal operation; None: unknown
    calibration_rows: int
    calibration_days: float
    subsystems: dict[str, str]


class ModelCard(Frozen):
    """The model card; see the module's docstring."""

    version: str  # of the bundle
    weights_sha256: str
    format_version: int
    detector: Detector
    window_steps: int  # time steps that a score depends on, without the smoothing
    intended_use: tuple[str, ...]
    limits: tuple[str, ...]
    training: TrainingFacts
    channels: ChannelFacts
    alarms: AlarmFacts | None  # None: the model is not calibrated
    versions: dict[str, str]  # of Python and the libraries of the training

    @classmethod
    def of(cls, info: BundleInfo) -> "ModelCard":
        """Return the card of a bundle by its description."""
        training, scaler = info.training, info.scaler
        facts = training.model_dump(include={*TrainingFacts.model_fields} - {"hyperparameters"})
        return cls(
            version=info.version,
            weights_sha256=info.weights_sha256,
            format_version=info.format_version,
            detector=info.architecture.detector,
            window_steps=info.architecture.window_steps,
            intended_use=_USE,
            limits=tuple(_limits(info)),
            training=TrainingFacts(
                **facts,
                seed=info.seed,
                scaler=scaler.type.value if scaler else None,
                hyperparameters=training.hyperparameters,
            ),
            channels=ChannelFacts(
                varying=info.varying,
                constant=scaler.constant if scaler else (),
                absent=scaler.absent if scaler else (),
            ),
            alarms=_alarms(info.calibration) if info.calibration else None,
            versions=dict(sorted(info.versions.items())),
        )

    def markdown(self) -> str:
        """Return the card for people."""
        return "\n\n".join(
            [
                "# Model card: telemetry anomaly detector",
                _table({"Version": _code(self.version), "Weights (SHA-256)": _code(self.weights_sha256)}),
                "## Intended use\n\n" + _list(self.intended_use),
                "## Model\n\n" + _table(_model_rows(self)),
                "## Training data\n\n" + _table(_training_rows(self.training)),
                "## Channels\n\n" + _table(_channel_rows(self.channels)),
                "## Alarms\n\n" + (_table(_alarm_rows(self.alarms)) if self.alarms else "The model is not calibrated."),
                "## Limits\n\n" + _list(self.limits),
                "## Versions\n\n" + _table({name: _code(text) for name, text in self.versions.items()}) + "\n",
            ]
        )


def write_card(location: Location, info: BundleInfo) -> None:
    """Write the card of a bundle into its folder."""
    card = ModelCard.of(info)
    (location / CARD_JSON).write_bytes(f"{card.model_dump_json(indent=1)}\n".encode())
    (location / CARD_MARKDOWN).write_bytes(card.markdown().encode())


def _alarms(calibration: Calibration) -> AlarmFacts:
    return AlarmFacts(
        settings=calibration.settings,
        rule=calibration.rule,
        method=calibration.method,
        expected_false_alarms_per_day=calibration.false_alarms_per_day,
        calibration_rows=calibration.rows,
        calibration_days=calibration.days,
        subsystems=dict(calibration.subsystems),
    )


def _limits(info: BundleInfo) -> Iterable[str]:
    """Yield what follows from how the model was made."""
    yield (
        "A score says how unusual a time step is for the model, in nats. It is not the probability of a fault, and "
        "normal operation that the training data does not show scores high, too."
    )
    yield "Anomalies that nobody reported may be in the training and calibration data, and then count as normal."
    yield "Without recalibration, the threshold fits the scores of the calibration data, not those of a later drift."
    if info.calibration is None:
        yield "The model is not calibrated: it scores time steps, but raises no alarm."
    if info.scaler and info.scaler.constant:
        yield "A channel that is constant in the training data scores by its departure from this constant alone."
    if info.architecture.window_steps > 1:
        yield (
            f"A score depends on {info.architecture.window_steps} time steps, fewer after a gap; the smoothing adds "
            "earlier ones. A change that is slower than all of them may not raise it."
        )
    missing = "as the centre of their channel" if info.impute_missing else "only if a request asks for it"
    yield f"Servers score missing values {missing}."


def _model_rows(card: ModelCard) -> dict[str, str]:
    sizes = card.training.hyperparameters
    return {
        "Detector": f"{_code(card.detector.value)}: {_DETECTORS[card.detector]}",
        "Time steps of a window": str(card.window_steps),
        "Hidden layers, latent space": f"{sizes.hidden_dims[0]} and {sizes.hidden_dims[1]}, {sizes.latent_dim}",
        "Format of the bundle": str(card.format_version),
    }


def _training_rows(training: TrainingFacts) -> dict[str, str]:
    return {
        "Training rows": f"{training.train_rows:,}",
        "Validation rows": f"{training.val_rows:,}",
        "Scaler": _code(training.scaler) if training.scaler else "none",
        "Epochs": f"{training.epochs}; the weights are those of epoch {training.best_epoch}, counted from 0",
        "Validation loss": f"{training.val_loss:.6g} nats per time step",
        "Nodes": str(training.nodes),
        "Seed": str(training.seed),
        "Hyperparameters": ", ".join(
            f"{_code(name)} {value}" for name, value in training.hyperparameters.model_dump(mode="json").items()
        ),
    }


def _channel_rows(channels: ChannelFacts) -> dict[str, str]:
    return {
        f"Varying ({len(channels.varying)})": _names(channels.varying),
        f"Constant ({len(channels.constant)})": _names(channels.constant),
        f"Without a training value, ignored ({len(channels.absent)})": _names(channels.absent),
    }


def _alarm_rows(alarms: AlarmFacts) -> dict[str, str]:
    rule, rate = alarms.rule, alarms.expected_false_alarms_per_day
    expected = f"{rate.estimate:.3g} (95 %: {rate.low:.3g} to {rate.high:.3g})" if rate else "unknown"
    return {
        "Starts above, ends at": f"{rule.raise_above:.6g} nats, {rule.clear_below:.6g} nats",
        "Lasts before it is raised": f"{rule.min_duration_ns / NANOSECONDS_PER_SECOND:g} s",
        "Smoothing": f"{alarms.settings.smoothing.value}, {alarms.settings.smoothing_window} time steps",
        "Threshold": alarms.method,
        "Calibration data": f"{alarms.calibration_rows:,} rows, {alarms.calibration_days:.3g} days without gaps",
        "Expected false alarms a day": expected,
    }


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows.items())])


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names)) or "none"


def _code(text: str) -> str:
    """Return a text that markdown shows as it is, in a cell of a table, too."""
    one_line = " ".join(text.split()).replace("|", r"\|")
    fence = "`" * (1 + one_line.count("`"))  # longer than any in the text
    pad = " " if "`" in one_line else ""
    return f"{fence}{pad}{one_line}{pad}{fence}"
