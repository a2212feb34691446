"""Rendering of the Jinja templates in `template/`; every value that is not `Markup` is escaped."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from container_component_src.evaluation.leads import baseline_name
from container_component_src.report import text
from container_component_src.report.baselines import detector_name
from container_component_src.report.comparison import comparison_reason, comparison_verdict, metric_rows
from container_component_src.report.threshold import rate_text

_FILTERS = (
    text.duration,
    text.fraction,
    text.integer,
    text.interval_text,
    text.moment,
    text.setting,
    text.share_of,
    text.short_number,
    text.utc,
    baseline_name,
    comparison_reason,
    comparison_verdict,
    detector_name,
    metric_rows,
    rate_text,
)


def render(template: str, **values: object) -> str:
    """Return a template with its values filled in; a missing value is an error."""
    return _environment().get_template(template).render(**values)


def verbatim(name: str) -> Markup:
    """Return a style sheet or script of the template folder unchanged."""
    source, _, _ = _loader().get_source(_environment(), name)
    return Markup(source)  # noqa: S704 (a file of this package)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.globals["verbatim"] = verbatim
    # The built-in filter `tojson` escapes "<", so no text can end a script element.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


@cache
def _loader() -> PackageLoader:
    return PackageLoader(__package__, "template")
