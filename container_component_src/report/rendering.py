"""Rendering of the Jinja templates in `template/`; every value that is not `Markup` is escaped."""

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
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


class CompiledTemplates(FileSystemBytecodeCache):
    """Compiled templates in a folder. Like compiled modules, they are kept if Python may and can write them."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):  # a read-only file system, or no folder yet
                super().dump_bytecode(bucket)


def compile_templates() -> None:
    """Compile all templates, for an image, where that is too late when the program runs."""
    for template in _environment().list_templates(extensions=["jinja"]):
        _environment().get_template(template)


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
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=CompiledTemplates(str(Path(__file__).with_name("__pycache__"))),
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.globals["verbatim"] = verbatim
    # The built-in filter `tojson` escapes "<", so no text can end a script element.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


@cache
def _loader() -> PackageLoader:
    return PackageLoader(__package__, "template")
