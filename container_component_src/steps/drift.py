"""The check for drift."""

from container_component_src.steps.declaration import Arguments, option

PSI_LIMIT = 0.25  # a major shift, by the rule of thumb in Siddiqi, "Credit Risk Scorecards" (2006)
ALPHA = 0.01


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
