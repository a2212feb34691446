"""What the tuning may choose: hyperparameters, and the choices for each of them."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_serializer

from container_component_src.errors import InputError
from container_component_src.settings import Frozen, describe


def _layer_sizes(value: object) -> object:
    """Both sizes, from a list or from `128,64`, the form that needs no quotes on a command line."""
    sizes = value.split(",") if isinstance(value, str) else value
    if not isinstance(sizes, list | tuple) or len(sizes) != 2:
        raise ValueError(f"{value!r} does not name two layer sizes, as in 128,64")
    return tuple(sizes)


def _unique(choices: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [choice for position, choice in enumerate(choices) if choice in choices[:position]]
    if repeated:
        raise ValueError(f"{repeated[0]} stands there twice")
    return choices


Size = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
HiddenDims = Annotated[tuple[Size, Size], BeforeValidator(_layer_sizes)]
Choices = (Field(min_length=1), AfterValidator(_unique))


class Hyperparameters(Frozen):
    """One point of the search space."""

    latent_dim: Size  # size of the latent code
    hidden_dims: HiddenDims  # sizes of the encoder's hidden layers; the decoder mirrors them
    beta: Positive  # weight of the KL term
    lr: Positive  # learning rate
    batch_size: Size  # rows

    @field_serializer("hidden_dims", when_used="json")
    def _hidden_dims_text(self, value: tuple[int, int]) -> str:
        return f"{value[0]},{value[1]}"

    def to_dict(self) -> dict[str, Any]:
        """As passed between pipeline steps and named in trial tables: JSON values, hidden sizes as `128,64`."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Hyperparameters":
        """The reverse of `to_dict`; numbers may also be text, and whole numbers floats (`8.0`).

        Raises:
            InputError: A hyperparameter is missing, unknown or not a positive number.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(f"hyperparameters: {describe(error)}") from error


class SearchSpace(Frozen):
    """The choices for each hyperparameter; every combination of them is a point."""

    latent_dim: Annotated[tuple[Size, ...], *Choices]
    hidden_dims: Annotated[tuple[HiddenDims, ...], *Choices]
    beta: Annotated[tuple[Positive, ...], *Choices]
    lr: Annotated[tuple[Positive, ...], *Choices]
    batch_size: Annotated[tuple[Size, ...], *Choices]

    @classmethod
    def from_options(
        cls,
        latent_dims: Sequence[Any],
        hidden_dims: Sequence[Any],
        betas: Sequence[Any],
        lrs: Sequence[Any],
        batch_sizes: Sequence[Any],
    ) -> "SearchSpace":
        """Build from the lists of the options `--latent-dims` to `--batch-sizes`.

        Raises:
            InputError: A list is empty, repeats a choice, or holds something other than positive numbers.
        """
        options = {
            "latent_dim": ("--latent-dims", latent_dims),
            "hidden_dims": ("--hidden-dims", hidden_dims),
            "beta": ("--betas", betas),
            "lr": ("--lrs", lrs),
            "batch_size": ("--batch-sizes", batch_sizes),
        }
        try:
            return cls.model_validate({name: tuple(choices) for name, (_, choices) in options.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            option, choices = options[str(first["loc"][0])]
            raise InputError(
                f"{option} {list(choices)}: {first['msg'].removeprefix('Value error, ')}; give a JSON list of different positive choices"
            ) from error

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(len(choices) for choices in self.choices().values())

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The choices by name of the hyperparameter, in the form of `Hyperparameters.to_dict`."""
        hidden_dims = tuple(f"{first},{second}" for first, second in self.hidden_dims)
        return {**dict(self), "hidden_dims": hidden_dims}

    def points(self) -> Iterator[Hyperparameters]:
        """Every point, the last hyperparameter varying fastest."""
        choices = self.choices()
        for values in itertools.product(*choices.values()):
            yield Hyperparameters.from_dict(dict(zip(choices, values, strict=True)))
