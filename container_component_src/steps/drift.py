"""The check for drift."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, model_validator

from container_component_src.steps.declaration import Arguments, flag, option
from container_component_src.steps.serving import SERVICE_NAME, TelemetryInput
from container_component_src.values import Hours, NonEmpty

PSI_LIMIT = 0.25  # a major shift, by the rule of thumb in Siddiqi, "Credit Risk Scorecards" (2006)
ALPHA = 0.01


def _moment(text: str) -> str:
    if text:
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"'{text}' is not a time in ISO 8601, such as 2024-01-31T12:00:00Z") from error
    return text


Moment = Annotated[str, AfterValidator(_moment)]


def time_of(text: str) -> datetime:
    """Return the time of a text in ISO 8601; without a zone, it is UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class DriftLimits(Arguments):
    """When a channel has drifted, and how many channels may."""

    psi_limit: float = option(
        "Largest population stability index of a channel that has not drifted; a higher one counts if its distance is "
        "significant, too.",
        PSI_LIMIT,
        gt=0,
    )
    alpha: float = option(
        "Probability that the distances of a period without drift are called significant, of all channels together.",
        ALPHA,
        gt=0,
        lt=1,
    )
    missing_limit: float = option(
        "Largest share of missing values of a channel that has not drifted, above that in the training data.",
        0.05,
        ge=0,
        le=1,
    )
    outside_limit: float = option(
        "Largest share of values outside the range of the training data, of a channel that has not drifted.",
        0.05,
        ge=0,
        le=1,
    )
    max_drifted_channels: int = option("Most channels that may have drifted.", 0, ge=0)


class CheckDrift(TelemetryInput, DriftLimits):
    """Arguments of `check_drift`."""

    command: ClassVar[str] = "check_drift"

    bundle_path: NonEmpty = option("The calibrated model bundle.", aliases=("--bundle",))
    input: NonEmpty = option(
        "Telemetry in engineering units: a file, a folder of archives, a dataset before the scaling, or the folder of "
        "a payload log; - is stdin.",
        "-",
    )
    since: Moment = option("Start of the checked period, in ISO 8601 (UTC). Empty: the first row.", "")
    until: Moment = option("End of the checked period, in ISO 8601 (UTC). Empty: the last row.", "")
    hours: Hours | None = option("Length of the checked period, which ends at --until, by default now.", None)
    skip_scores: bool = flag("Do not score telemetry, so that only the channels are checked.")
    output: str = option("JSON file for the result.", "")
    page: str = option("HTML file for a page with plots.", "")
    pushgateway: str = option("Address of a Prometheus Pushgateway that gets the result as metrics.", "")
    service_name: NonEmpty = option("Name of the service with the model, a label of these metrics.", SERVICE_NAME)

    @model_validator(mode="after")
    def _one_period(self) -> Self:
        if self.since and self.hours is not None:
            raise ValueError("--since and --hours exclude each other")
        if self.since and self.until and time_of(self.since) >= time_of(self.until):
            raise ValueError(f"--since {self.since} is not before --until {self.until}")
        return self
