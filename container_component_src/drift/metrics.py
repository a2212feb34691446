"""A check for drift as metrics of Prometheus, for a Pushgateway, since the check is over before anything scrapes it."""

from http.client import HTTPException

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway

from container_component_src.drift.result import DriftReport
from container_component_src.errors import StepError

JOB = "check_drift"


def registry_of(report: DriftReport, now: float) -> CollectorRegistry:
    """Return the metrics of a check.

    Args:
        report: The check.
        now: Time of the check in seconds since 1970.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"anomaly_drift_{name}", text, registry=registry).set(value)

    gauge("exceeded", "Whether a limit of the check for drift is exceeded.", report.exceeded)
    gauge("channels", "Channels that have drifted.", len(report.drifted))
    gauge("checked_timestamp_seconds", "When the check for drift ran.", now)
    if report.scores is not None:
        gauge("scores", "Whether the scores have drifted.", report.scores.drifted)
    by_channel = Gauge("anomaly_drift_psi", "Population stability index of a channel.", ["channel"], registry=registry)
    for name, channel in report.channels.items():
        if channel.psi is not None:
            by_channel.labels(name).set(channel.psi)
    return registry


def push(report: DriftReport, gateway: str, service: str, now: float, timeout_s: float = 30.0) -> None:
    """Replace the metrics of the last check of a service at a Pushgateway.

    Args:
        report: The check.
        gateway: Address.
        service: Name of the service, by which checks of several are told apart; the label is that of its own metrics.
        now: Time of the check in seconds since 1970.
        timeout_s: Seconds to wait for an answer.

    Raises:
        StepError: The gateway does not take them.
    """
    try:
        key = {"inferenceservice": service}
        push_to_gateway(gateway, JOB, registry_of(report, now), grouping_key=key, timeout=timeout_s)
    except (OSError, ValueError, HTTPException) as error:
        raise StepError(
            f"{gateway}: the Pushgateway does not take the metrics ({error})", fix="check --pushgateway"
        ) from error
