"""Rows of a request in any protocol: their JSON, their timestamps and their scaling."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from container_component_src.arrays import BoolArray, Float32Array, Float64Array, Timestamps
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.telemetry.scaler import Scaler

_HALF_OF_LARGEST = float(np.finfo(np.float32).max) / 2


@dataclass(frozen=True)
class Rows:
    """Rows of a request, in the units in which they were sent."""

    values: Float64Array | Float32Array  # shape [rows, channels], in the order of the model's channels
    timestamps: Timestamps | None = None  # ascending, shape [rows]


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


def scaled(values: Float64Array | Float32Array, channels: Sequence[str], scaler: Scaler | None) -> Float32Array:
    """Return values scaled as the training data, shape [rows, channels].

    Args:
        values: Shape [rows, channels].
        channels: Names of the columns, which are the channels of the scaler.
        scaler: None if the values are already scaled.

    Raises:
        RequestError: A value is not finite, or overflows 32-bit floats when it is scaled.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.require(values, np.float32, ("ALIGNED", "WRITEABLE"))  # as PyTorch requires
        safe = _safe_magnitude(scaler)
        if not (single.max(initial=0.0) < safe and single.min(initial=0.0) > -safe):  # also true if there is a NaN
            # The scaler would replace values that are not finite by the centre and hide the error.
            fits = np.isfinite(single)
            if scaler is not None:
                centre, scale = np.asarray(scaler.centre, np.float32), np.asarray(scaler.scale, np.float32)
                fits &= np.isfinite((single - centre) / scale)
            if not fits.all():
                refuse_value(values, ~fits, channels)
    return scaler.transform(single) if scaler else single


def refuse_value(values: npt.NDArray[np.floating], mask: BoolArray, channels: Sequence[str]) -> NoReturn:
    """Refuse the first value for which the mask is true; both have the shape [rows, channels].

    Raises:
        RequestError: Always.
    """
    row, column = np.argwhere(mask)[0]
    raise RequestError(
        f"row {row}, channel '{channels[column]}': {values[row, column]:g} is not finite, or too large for "
        "32-bit floats",
        fix="send a plausible value",
    )


@lru_cache(maxsize=8)
def _safe_magnitude(scaler: Scaler | None) -> float:
    """Return the magnitude below which scaled values of every channel are finite."""
    if scaler is None:
        return _HALF_OF_LARGEST
    return min(1.0, *scaler.scale) * _HALF_OF_LARGEST - max(map(abs, scaler.centre))


def json_type(value: object) -> str:
    """Return the type of a JSON value, with its article, for a message."""
    names = {type(None): "null", bool: "a boolean", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")
