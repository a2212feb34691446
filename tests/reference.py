"""Write docs/reference.md from the declarations of the commands: `make reference`."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from pydantic.fields import FieldInfo

from container_component_src import steps
from container_component_src.main import COMMANDS
from container_component_src.settings import load_settings
from container_component_src.steps.declaration import Arguments, Option, Parameter
from container_component_src.steps.description import bounds_of, choices_of, default_of
from container_component_src.steps.parameters import pipeline_parameters
from container_component_src.steps.shared import PodSettings
from pipeline.pipeline_definition import defaults

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
HEAD = """# Reference

`make reference` generates this page from the declarations in `container_component_src/steps/`.

## Pipeline parameters

Set a parameter with `--param NAME=VALUE`, under `[parameters]` in the configuration, or in the form of the Kubeflow UI.

"""
PODS = """
## Options of the pods

Commands that start pods on a cluster also have these options. The image of `run_dask_preprocessing` is
`--dask-worker-image`.

"""
# Keys of config.toml that are defaults of parameters
CONFIGURED = {
    "archives_path": "[paths] archives",
    "reports_path": "[paths] reports",
    "feedback_path": "[paths] feedback",
    "data_root": "[paths] data_root",
    "timestamp_col": "[col-names] timestamp",
    "report_columns": "[col-names]",
    "subsystems": "[subsystems]",
    "service_name": "[platform] inference_service",
}


def render() -> str:
    """Return the text of the page."""
    pods = [_row(*item) for item in PodSettings.fields() if item[0] != "namespace"]
    return HEAD + _parameters() + "".join(map(_command, COMMANDS)) + PODS + _table("option", pods)


def _parameters() -> str:
    values = defaults(load_settings(ROOT / "config.toml"))
    rows = []
    for name, field in pipeline_parameters().items():
        text = CONFIGURED.get(name) or (str(values[name]) if choices_of(field) else default_of(field))
        rows.append(f"| `{name}` | {_code(text)} | {_description(field)} |")
    return _table("parameter", rows)


def _command(name: str) -> str:
    declaration = _declaration(name)
    fields = sorted(declaration.fields(), key=lambda item: not item[1].is_required())
    table = _table("option", [_row(*item) for item in fields])
    more = (
        "\nIt also has the [options of the pods](#options-of-the-pods).\n" if "pods" in declaration.model_fields else ""
    )
    return f"\n## {name}\n\n{_summary(name)}\n\n{table}{more}"


def _row(name: str, field: FieldInfo, role: Option) -> str:
    default = "*required*" if field.is_required() else "*flag*" if role.flag else _code(default_of(field))
    parameter = (role.name or name) if isinstance(role, Parameter) else ""
    note = f" Pipeline parameter: `{parameter}`." if parameter not in ("", name) else ""
    return f"| `--{name.replace('_', '-')}` | {default} | {_description(field)}{note} |"


def _declaration(command: str) -> type[Arguments]:
    for module in iter_modules(steps.__path__, f"{steps.__name__}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Arguments) and vars(value).get("command") == command:
                return value
    raise LookupError(f"no declaration of {command} in container_component_src/steps/")


def _summary(command: str) -> str:
    function = getattr(import_module(f"container_component_src.cli.{command}"), command)
    return str(function.help).split("\n\n", maxsplit=1)[0].replace("\n", " ")


def _description(field: FieldInfo) -> str:
    """Return the description and the accepted values."""
    *choices, last = [_code(choice) for choice in choices_of(field)] or [bounds_of(field).capitalize()]
    accepted = f"{', '.join(choices)} or {last}." if choices else f"{last}." if last else ""
    return f"{field.description} {accepted}".strip().replace("|", "\\|")


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _table(first: str, rows: Iterable[str]) -> str:
    return "\n".join([f"| {first} | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


if __name__ == "__main__":
    REFERENCE.write_text(render(), encoding="utf-8")
