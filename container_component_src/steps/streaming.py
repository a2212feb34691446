"""The scoring of telemetry as it comes."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from container_component_src.names import OptionalUri
from container_component_src.steps.declaration import Arguments, flag, option
from container_component_src.steps.serving import DeadAfter, MissingValues, ServiceAddress
from container_component_src.steps.shared import TimestampColumn
from container_component_src.values import NonEmpty

STD = "-"  # stdin or stdout
MQTT, KAFKA = ("mqtt", "mqtts"), ("kafka", "kafkas")  # schemes; the second of each is with TLS


class BrokerLogin(Arguments):
    """How brokers know this stream."""

    client_id: NonEmpty = option(
        "Name of this stream at a broker: that of its session (MQTT) or consumer group (Kafka). No other stream may "
        "have it.",
        "score-stream",
    )
    client_cert: str = option("Certificate by which a broker knows this client, as PEM. Empty: none.", "")
    client_key: str = option("Its key, as PEM. Empty: the file of the certificate has it.", "")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = option(
        "How user and password are sent to Kafka.", "PLAIN"
    )


class ArrivalPolicy(Arguments):
    """What happens to rows that come late, twice or damaged."""

    reorder_seconds: float = option(
        "Seconds of telemetry that a row waits for rows that are older but come later. 0: it does not wait.", 0.0, ge=0
    )
    reorder_rows: int = option(
        "Rows after which a row no longer waits for older ones; with --reorder-seconds, whichever is first. 0: no such "
        "number.",
        0,
        ge=0,
    )
    max_ahead: float = option(
        "Seconds that a timestamp may be ahead of this machine's clock. Rows further ahead are malformed: after them, "
        "all others would be late.",
        3600.0,
        ge=0,
    )
    max_message_bytes: int = option("Longest line or message; longer ones are malformed.", 2**20, ge=100)


class ScoreStream(TimestampColumn, ArrivalPolicy, MissingValues, BrokerLogin, DeadAfter, ServiceAddress):
    """Arguments of `score_stream`."""

    command: ClassVar[str] = "score_stream"

    input: NonEmpty = option(
        "Telemetry in engineering units, one JSON object a row: - is stdin, otherwise a file, mqtt://HOST:PORT/TOPIC "
        "or kafka://HOST:PORT/TOPIC; mqtts and kafkas are with TLS.",
        STD,
    )
    follow: bool = flag("Wait for further lines at the end of a file.")
    url: str = option("Address of the service, or of the gateway with the path before /v2.", "")
    bundle: str = option("Model bundle, a folder or its URI, that scores in this process instead of a service.", "")
    top_channels: int = option("Contributing channels of an alarm; of a bundle in this process only.", 5, ge=1)
    alarms: str = option("File to which the events of alarms are appended; - is stdout. Empty: none.", STD)
    publish: str = option("Topic for the events of alarms, written as that of --input. Empty: none.", "")
    webhook: str = option("Address to which each event is posted. Empty: none.", "")
    update_seconds: float = option(
        "Least seconds of telemetry between two events that say that an alarm goes on.", 10.0, ge=0
    )
    state_file: str = option(
        "File from which the stream goes on after a stop or a crash. Empty: it starts anew each time.", ""
    )
    commit_seconds: float = option("Seconds between two writes of the state.", 1.0, gt=0)
    batch_rows: int = option("Most waiting rows that are scored together.", 1000, ge=1)
    max_delay: float = option("Seconds that a row waits for others to be scored together.", 0.0, ge=0)
    buffer_rows: int = option("Rows that wait to be scored before reading stops.", 10_000, ge=1)
    at_end: Literal["close", "keep"] = option(
        "What happens at the end of the input to an alarm that goes on: it is closed, or kept in the state for the "
        "rows of the next start.",
        "close",
    )
    retry_seconds: float = option(
        "Seconds for which the service, a broker or the webhook may be away before the command fails.", 300.0, ge=0
    )
    payload_log: OptionalUri = option(
        "Folder of the payload log, to which the rows and their answers are written as parquet files. Empty: none is "
        "written. A bundle in this process logs the expected values of all channels, a service those of the channels "
        "that contribute most.",
        "",
    )
    payload_log_days: int = option("Days after which logged rows are deleted; 0 keeps them.", 30, ge=0, le=36_500)
    metrics_port: int | None = option("Port of the metrics for Prometheus; none by default.", None, ge=1, le=65535)
    metrics_host: NonEmpty = option("Address on which the metrics are served.", "127.0.0.1")

    @model_validator(mode="after")
    def _one_scorer(self) -> Self:
        if bool(self.url) == bool(self.bundle):
            raise ValueError("give either --url or --bundle")
        return self

    @model_validator(mode="after")
    def _events_go_somewhere(self) -> Self:
        if not (self.alarms or self.publish or self.webhook):
            raise ValueError("give --alarms, --publish or --webhook: the alarms would be lost")
        return self

    @model_validator(mode="after")
    def _end_fits(self) -> Self:
        if self.follow and self.input == STD:
            raise ValueError("--follow needs a file: stdin is followed until it is closed")
        if self.at_end == "keep" and not self.state_file:
            raise ValueError("--at-end keep needs --state-file")
        return self
