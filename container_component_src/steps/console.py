"""The operator's console."""

from ipaddress import ip_address
from typing import ClassVar, Self

from pydantic import model_validator

from container_component_src.names import OptionalUri, Uri
from container_component_src.steps.declaration import Arguments, option
from container_component_src.steps.serving import DEAD_AFTER
from container_component_src.steps.shared import ReportSettings
from container_component_src.values import NonEmpty

CONSOLE_PORT = 8090
TOKEN_VARIABLE = "CONSOLE_TOKEN"  # noqa: S105 - its name, not a token


class Console(Arguments):
    """Arguments of `console`."""

    command: ClassVar[str] = "console"

    alarms: Uri = option("Alarm events as NDJSON: what score_stream writes, or the alarms of an evaluation.")
    feedback: Uri = option("CSV table of the verdicts, which the console reads and writes.", "feedback.csv")
    payload_log: OptionalUri = option(
        "Folder of the payload log, for measured and expected values and dead channels. Empty: they are not shown.", ""
    )
    drift: OptionalUri = option("JSON file of check_drift. Empty: drift is not shown.", "")
    bundle: OptionalUri = option("Model bundle, for the usual range of the channels. Empty: it is not shown.", "")
    title: NonEmpty = option("Title of the page.", ReportSettings.model_construct().title)
    host: NonEmpty = option(
        f"Address to listen on. Other addresses than those of loopback need a token: {TOKEN_VARIABLE} or --token-file.",
        "127.0.0.1",
    )
    port: int = option("Port to listen on.", CONSOLE_PORT, ge=1, le=65_535)
    token_file: str = option(
        f"File with the token that operators sign in with. Empty: the environment variable {TOKEN_VARIABLE} counts.", ""
    )
    poll_seconds: float = option("Seconds between two looks at the files.", 1.0, gt=0, le=3600)
    dead_after: float = option("Seconds without a value after which a channel is dead.", DEAD_AFTER, gt=0)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the console."""
        return is_loopback(self.host)

    @model_validator(mode="after")
    def _feedback_is_a_table(self) -> Self:
        if not self.feedback.lower().endswith(".csv"):
            raise ValueError(f"--feedback {self.feedback}: the name must end in .csv, which is the format")
        if self.alarms.lower().endswith(".csv"):
            raise ValueError(f"--alarms {self.alarms}: give the events as NDJSON, not as CSV")
        return self


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is that of the loopback interface."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
