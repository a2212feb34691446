"""Rows of a request in any protocol: their JSON, their timestamps and their scaling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from container_component_src.arrays import BoolArray, Float32Array, Float64Array, Timestamps
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.telemetry.scaler import HALF_OF_LARGEST, Scaler

IMPUTE_MISSING = "impute_missing"  # parameter of a request
_OR_IMPUTE = f', or set the parameter "{IMPUTE_MISSING}" to score missing values as the centre of their channel'


@dataclass(frozen=True)
class Rows:
    """Rows of a request, in the units in which they were sent."""

    values: Float64Array | Float32Array  # shape [rows, channels], in the order of the model's channels
    timestamps: Timestamps | None = None  # ascending, shape [rows]
    missing: BoolArray | None = None  # values to impute, shape [rows, channels]; None: missing values are refused

    @classmethod
    def of(cls, values: Float64Array | Float32Array, timestamps: Timestamps | None, impute: bool) -> Self:
        """Return the rows of a request; a missing value is NaN or infinite, as in the training.

        Args:
            values: Shape [rows, channels].
            timestamps: Shape [rows], or None.
            impute: Whether missing values are imputed.
        """
        return cls(values, timestamps, ~np.isfinite(values) if impute else None)


def imputes(parameters: Mapping[str, object], default: bool | None) -> bool:
    """Return whether the missing values of a request are imputed.

    Args:
        parameters: Parameters of the request.
        default: What the bundle says; None if this server cannot impute.

    Raises:
        RequestError: The parameter is not a boolean, or this server cannot impute.
    """
    asked = parameters.get(IMPUTE_MISSING)
    if asked is not None and not isinstance(asked, bool):
        raise RequestError(f'parameter "{IMPUTE_MISSING}" is {json_type(asked)}', fix="send true or false")
    if asked and default is None:
        raise RequestError(
            f'parameter "{IMPUTE_MISSING}": this server does not scale, and so knows no centre of a channel',
            fix="send the rows to the transformer of a model with a scaler, or send finite values only",
        )
    return bool(default if asked is None else asked)


def json_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RequestError: The body is not JSON or not an object.
    """
    try:
        content = from_json(body)
    except ValueError as error:
        raise RequestError(f"the request is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise RequestError("the request is not a JSON object", fix="send an object")
    return content


def scaled(rows: Rows, channels: Sequence[str], scaler: Scaler | None) -> Float32Array:
    """Return the values of rows scaled as the training data, with missing ones imputed, shape [rows, channels].

    Args:
        rows: Rows of a request.
        channels: Names of the columns, which are the channels of the scaler.
        scaler: None if the values are already scaled; then none is imputed.

    Raises:
        RequestError: A value is not finite, or overflows 32-bit floats when it is scaled.
    """
    values = rows.values
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.require(values, np.float32, ["ALIGNED"])  # as PyTorch requires
        if scaler is not None and rows.missing is not None and rows.missing.any():
            single = np.where(rows.missing, np.asarray(scaler.centre, np.float32), single)
        safe = HALF_OF_LARGEST if scaler is None else scaler.safe_magnitude
        if not (single.max(initial=0.0) < safe and single.min(initial=0.0) > -safe):  # also true if there is a NaN
            # The scaler would replace values that are not finite by the centre and hide the error.
            fits = np.isfinite(single)
            if scaler is not None:
                centre, scale = np.asarray(scaler.centre, np.float32), np.asarray(scaler.scale, np.float32)
                fits &= np.isfinite((single - centre) / scale)
            if not fits.all():
                refuse_value(values, ~fits, channels, _OR_IMPUTE if scaler is not None and rows.missing is None else "")
    return scaler.transform(single) if scaler else single


def refuse_value(
    values: npt.NDArray[np.floating], mask: BoolArray, channels: Sequence[str], other_fix: str = ""
) -> NoReturn:
    """Refuse the first value for which the mask is true; both have the shape [rows, channels].

    Args:
        values: The values.
        mask: Which of them are wrong.
        channels: Names of the columns.
        other_fix: What can be done beside sending another value.

    Raises:
        RequestError: Always.
    """
    row, column = np.argwhere(mask)[0]
    raise RequestError(
        f"row {row}, channel '{channels[column]}': {values[row, column]:g} is not finite, or too large for "
        "32-bit floats",
        fix=f"send a plausible value{other_fix}",
    )


def json_type(value: object) -> str:
    """Return the type of a JSON value, with its article, for a message."""
    names = {type(None): "null", bool: "a boolean", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")


def parameters_of(item: dict[str, Any], owner: str) -> dict[str, Any]:
    """Return the parameters of a request or a tensor.

    Raises:
        RequestError: The parameters are not an object.
    """
    found = item.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise RequestError(f"{owner}: its parameters are {json_type(found)}", fix="send an object")
    return found or {}
