"""What the tuning may choose: the choices for each hyperparameter of the training."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from container_component_src.errors import InputError
from container_component_src.model.arguments import Hyperparameters, Size
from container_component_src.values import Frozen


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


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
HiddenDims = Annotated[tuple[Size, Size], BeforeValidator(_layer_sizes)]
Choices = (Field(min_length=1), AfterValidator(_unique))


def to_dict(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """As passed between pipeline steps and named in trial tables: JSON values, hidden sizes as `128,64`."""
    first, second = hyperparameters.hidden_dims
    return {**hyperparameters.model_dump(), "hidden_dims": f"{first},{second}"}


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
            reason = first["msg"].removeprefix("Value error, ")
            raise InputError(
                f"{option} {list(choices)}: {reason}; give a JSON list of different positive choices"
            ) from error

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(len(choices) for choices in self.choices().values())

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The choices by name of the hyperparameter, in the form of `to_dict`."""
        hidden_dims = tuple(f"{first},{second}" for first, second in self.hidden_dims)
        return {**dict(self), "hidden_dims": hidden_dims}

    def point(self, index: int) -> Hyperparameters:
        """One of the points by its number from 0 to `size` - 1; the last hyperparameter varies fastest."""
        values = {}
        for name, choices in reversed(self.choices().items()):
            index, position = divmod(index, len(choices))
            values[name] = choices[position]
        return Hyperparameters.model_validate(values)
