"""A check for drift as text for the terminal."""

from container_component_src.drift.result import DriftReason, DriftReport, ValueDrift
from container_component_src.telemetry.timestamps import to_iso

_SHOWN = 20  # channels


def summary(report: DriftReport) -> str:
    """Return a line for each channel that has drifted, and one about all of them."""
    drifted = list(report.drifted.items())
    lines = [f"{name}: {_in_words(channel)}" for name, channel in drifted[:_SHOWN]]
    if len(drifted) > _SHOWN:
        lines.append(f"and {len(drifted) - _SHOWN} more channels")
    if report.scores is not None and report.scores.drifted:
        lines.append(f"scores: {_in_words(report.scores)}")
    period = f"{report.rows:,} rows from {to_iso(report.start)} to {to_iso(report.end)}"
    outcome = (
        "; ".join(report.reasons) if report.exceeded else f"no limit exceeded, {len(drifted)} channels have drifted"
    )
    return "\n".join([*lines, f"{period}: {outcome}"])


def _in_words(found: ValueDrift) -> str:
    """Return why a series has drifted, and since when."""
    words = {
        DriftReason.DISTRIBUTION: f"stability index {found.psi or 0:.3g}, adjusted p {found.adjusted_p_value or 0:.2g}",
        DriftReason.MISSING: f"{found.missing_share:.1%} missing, {found.missing_share_before:.1%} before",
        DriftReason.OUTSIDE: f"{found.outside_share or 0:.1%} outside the known range",
    }
    since = f", since {to_iso(found.since)}" if found.since is not None else ""
    return "; ".join(words[reason] for reason in found.reasons) + since
