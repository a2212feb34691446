"""How a class declares the arguments of a command, and what each argument is to the pipeline.

Fields are made by the functions below, according to where their values come from. `option` is for the command line
alone; the others also make an input or output of the pipeline's component.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.fields import FieldInfo

from container_component_src.values import Frozen

ArtifactKind = Literal["Artifact", "Dataset", "HTML", "Model", "Metrics", "ClassificationMetrics"]  # classes of kfp.dsl
_ROLE = "role"


@dataclass(frozen=True)
class Option:
    """An argument that is given on the command line only.

    Attributes:
        envvar: Environment variable that gives the value where the option is not given.
        flag: Whether the option takes no value.
        aliases: Other names of the option.
    """

    envvar: str = ""
    flag: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter(Option):
    """An argument that is a parameter of the pipeline.

    Attributes:
        name: Name of the pipeline's parameter; that of the field if empty.
    """

    name: str = ""


@dataclass(frozen=True)
class Wired(Option):
    """An argument that the pipeline passes from the configuration or from the output of another step."""


@dataclass(frozen=True)
class InputArtifact(Option):
    """The local path of an artifact that the pipeline downloads for the step."""

    name: str = ""
    kind: ArtifactKind = "Artifact"


@dataclass(frozen=True)
class OutputArtifact(Option):
    """The place of an artifact that the step writes.

    Attributes:
        name: Name of the artifact.
        kind: Its class.
        by: `uri` if the step writes to the store itself, `path` if the pipeline uploads a local file.
    """

    name: str = ""
    kind: ArtifactKind = "Artifact"
    by: Literal["uri", "path"] = "path"


A = TypeVar("A", bound="Arguments")


class Arguments(Frozen):
    """Arguments of a command, checked when they are built.

    Attributes:
        command: Name of the command; empty for a class that is part of others.
        results: Types of the output parameters of the pipeline's component, by name. Every artifact that is written by
            its URI adds `NAME_uri`.
        artifacts: Kinds of the artifacts that consist of metadata alone, by name.
        cache_keys: Inputs of the component that no option takes: they make the step run again when data behind the
            same URI has changed.
        secret_keys: Keys of the Secret that the step's pod gets as variables, beside those of the S3 settings.
        checks_parameters: Whether the component gets all parameters of the pipeline, so that the step can check them.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    command: ClassVar[str] = ""
    results: ClassVar[dict[str, type]] = {}
    artifacts: ClassVar[dict[str, ArtifactKind]] = {}
    cache_keys: ClassVar[tuple[str, ...]] = ()
    secret_keys: ClassVar[tuple[str, ...]] = ()
    checks_parameters: ClassVar[bool] = False

    def part(self, kind: type[A]) -> A:
        """Return the arguments of a class that this one is made of."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    @classmethod
    def fields(cls) -> Iterator[tuple[str, FieldInfo, Option]]:
        """Iterate over the name, the declaration and the role of every argument."""
        for name, field in cls.model_fields.items():
            extra = field.json_schema_extra
            yield name, field, cast(Option, extra[_ROLE]) if isinstance(extra, dict) else Option()

    @classmethod
    def parameters(cls) -> dict[str, str]:
        """Return the name of the pipeline's parameter by the name of the argument."""
        return {name: role.name or name for name, _, role in cls.fields() if isinstance(role, Parameter)}

    @classmethod
    def outputs(cls) -> dict[str, OutputArtifact]:
        """Return the artifacts that the step writes, by name."""
        return {role.name: role for _, _, role in cls.fields() if isinstance(role, OutputArtifact)}

    @classmethod
    def publishes(cls) -> bool:
        """Return whether the step reports outputs to the pipeline."""
        return bool(cls.results or cls.artifacts or cls.outputs())


def _declared(role: Option, description: str, default: Any, bounds: dict[str, Any]) -> Any:
    extra = cast(dict[str, Any], {_ROLE: role})
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def option(description: str, default: Any = ..., envvar: str = "", aliases: tuple[str, ...] = (), **bounds: Any) -> Any:
    """Declare an argument for the command line only; it is required if it has no default."""
    return _declared(Option(envvar, aliases=aliases), description, default, bounds)


def flag(description: str) -> Any:
    """Declare an option without a value, which is False unless it is given."""
    return _declared(Option(flag=True), description, False, {})


def parameter(description: str, default: Any = ..., name: str = "", envvar: str = "", **bounds: Any) -> Any:
    """Declare an argument that is a parameter of the pipeline, under another name there if `name` is given."""
    return _declared(Parameter(envvar, name=name), description, default, bounds)


def wired(description: str, default: Any = ..., aliases: tuple[str, ...] = (), **bounds: Any) -> Any:
    """Declare an argument that comes from the configuration or from another step."""
    return _declared(Wired(aliases=aliases), description, default, bounds)


def input_artifact(description: str, name: str, kind: ArtifactKind = "Artifact", default: Any = ...) -> Any:
    """Declare the path of an artifact that another step has written."""
    return _declared(InputArtifact(name=name, kind=kind), description, default, {})


def output_dataset(description: str, name: str, kind: ArtifactKind = "Dataset") -> Any:
    """Declare the URI of an artifact too large for the pipeline to copy, which the step writes to the store itself."""
    return _declared(OutputArtifact(name=name, kind=kind, by="uri"), description, ..., {})


def output_file(description: str, name: str, kind: ArtifactKind = "Artifact", default: Any = ...) -> Any:
    """Declare the path of a file that the pipeline uploads as an artifact."""
    return _declared(OutputArtifact(name=name, kind=kind), description, default, {})


def adapter(field: FieldInfo) -> TypeAdapter[Any]:
    """Return the validator of a single field, with its bounds."""
    kind = field.annotation
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)  # which has a configuration of its own
    annotation: Any = Annotated[kind, field]
    return TypeAdapter(annotation, config=None if is_model else Arguments.model_config)
