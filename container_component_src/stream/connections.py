"""The parts of a stream that its options name."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from container_component_src import storage
from container_component_src.credentials import header_value
from container_component_src.errors import InputError
from container_component_src.files import check_output
from container_component_src.serving.client.consecutive import ScoringService
from container_component_src.serving.client.model_client import ModelClient
from container_component_src.steps.streaming import STD, ScoreStream
from container_component_src.stream.brokers import Login, topic_of
from container_component_src.stream.lines import LineSource
from container_component_src.stream.payloads import StreamPayloads
from container_component_src.stream.scoring import StreamScorer
from container_component_src.stream.sinks import FileSink, Sink, StdoutSink, WebhookSink
from container_component_src.stream.source import Source
from container_component_src.stream.stream import Stream
from container_component_src.values import in_home

TOKEN = "SCORE_STREAM_TOKEN"  # noqa: S105 - (and the others) names of variables, not secrets
WEBHOOK_TOKEN = "SCORE_STREAM_WEBHOOK_TOKEN"  # noqa: S105
USER, PASSWORD = "SCORE_STREAM_USER", "SCORE_STREAM_PASSWORD"
_NANOSECONDS = 1e9


async def run(arguments: ScoreStream, environment: Mapping[str, str]) -> None:
    """Score a stream; see `Stream.run` for errors.

    Args:
        arguments: Options of the command.
        environment: Variables with the credentials.
    """
    _check_outputs(arguments)
    service = service_of(arguments, environment)
    update_ns = round(arguments.update_seconds * _NANOSECONDS)
    scorer = StreamScorer(service, arguments, update_ns)
    login = Login(
        arguments.client_id,
        environment.get(USER, ""),
        environment.get(PASSWORD, ""),
        arguments.sasl_mechanism,
        arguments.ca_file,
        arguments.client_cert,
        arguments.client_key,
    )
    state_file = storage.resolve(arguments.state_file) if arguments.state_file else None
    sinks = list(_sinks(arguments, login, environment))
    payloads = None
    if arguments.payload_log:
        payloads = StreamPayloads(arguments.payload_log, arguments.client_id, scorer.model, arguments.payload_log_days)
    await Stream(arguments, _source(arguments, login), scorer, sinks, state_file, payloads).run()


def _check_outputs(arguments: ScoreStream) -> None:
    """Check that the outputs can be written, before the service is asked.

    Raises:
        InputError: Something else, such as a device, has the path of a file or folder.
    """
    if arguments.alarms not in ("", STD) and topic_of(arguments.alarms, "--alarms") is None:
        check_output(Path(in_home(arguments.alarms)))
    if arguments.state_file:
        storage.resolve(arguments.state_file).check_output()
    if arguments.payload_log:
        storage.resolve(arguments.payload_log).check_output(folder=True)


def service_of(arguments: ScoreStream, environment: Mapping[str, str]) -> ScoringService:
    """Return the deployed model, or the bundle that scores in this process."""
    if arguments.bundle:
        from container_component_src.stream.bundle_service import BundleService  # noqa: PLC0415 - needs PyTorch

        return BundleService(arguments.bundle, arguments.top_channels, arguments.dead_after)
    return ModelClient(arguments, header_value(environment.get(TOKEN, ""), TOKEN))


def _source(arguments: ScoreStream, login: Login) -> Source:
    topic = topic_of(arguments.input, "--input")
    if topic is None:
        return LineSource(arguments.input, arguments.max_message_bytes, arguments.follow)
    if arguments.follow:
        raise InputError("--follow needs a file: a topic is always followed", fix="leave it out")
    if topic.is_mqtt:
        from container_component_src.stream.mqtt import MqttSource  # noqa: PLC0415 - (and the next) only where used

        return MqttSource(topic, login, arguments.retry_seconds)
    from container_component_src.stream.kafka import KafkaSource  # noqa: PLC0415

    return KafkaSource(topic, login, arguments.max_message_bytes)


def _sinks(arguments: ScoreStream, login: Login, environment: Mapping[str, str]) -> Iterator[Sink]:
    if arguments.alarms == STD:
        yield StdoutSink()
    elif arguments.alarms:
        if topic_of(arguments.alarms, "--alarms"):
            raise InputError("--alarms names a topic", fix="name it with --publish")
        yield FileSink(arguments.alarms)
    if arguments.publish:
        topic = topic_of(arguments.publish, "--publish")
        if topic is None:
            raise InputError(f"--publish {arguments.publish}: no topic", fix="write it as mqtt://HOST:PORT/TOPIC")
        if topic.is_mqtt:
            from container_component_src.stream.mqtt import MqttSink  # noqa: PLC0415

            yield MqttSink(topic, login)
        else:
            from container_component_src.stream.kafka import KafkaSink  # noqa: PLC0415

            yield KafkaSink(topic, login)
    if arguments.webhook:
        token = header_value(environment.get(WEBHOOK_TOKEN, ""), WEBHOOK_TOKEN)
        yield WebhookSink(arguments.webhook, token, arguments.timeout, login.tls() if arguments.ca_file else True)
