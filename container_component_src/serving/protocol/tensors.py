"""Tensors of the Open Inference Protocol (V2), as JSON or as binary data behind the JSON.

KServe's own codecs do not check requests. They turn binary data into lists of Python numbers, so they take at least ten
times as long for binary requests and for answers.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import json_type, parameters_of

NUMPY_TYPES: dict[str, npt.DTypeLike] = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = {np.dtype(numpy_type): name for name, numpy_type in NUMPY_TYPES.items()}
_LENGTH_BYTES = 4  # before each text in binary data
_MAX_SIZE, _MAX_DIMENSIONS = 2**31, 8  # far beyond what a body can hold

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """An input of a request, either as single values or as bytes.

    Raises:
        RequestError: The datatype is unknown or the shape is impossible.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Sequence[object] | None  # flat
    raw: bytes | memoryview | None = None

    def __post_init__(self) -> None:
        if self.datatype != "BYTES" and self.datatype not in NUMPY_TYPES:
            raise RequestError(f"input '{self.name}': unknown datatype {self.datatype[:40]!r}", fix="use FP64 or FP32")
        if len(self.shape) > _MAX_DIMENSIONS or not all(0 <= size <= _MAX_SIZE for size in self.shape):
            raise RequestError(
                f"input '{self.name}': shape {list(self.shape[:_MAX_DIMENSIONS])} is impossible", fix="correct it"
            )

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def array(self, columns: Sequence[str] = (), nulls: bool = False) -> Array:
        """Return the values as numbers or booleans, and texts as objects.

        Args:
            columns: Names of the columns of a tensor of shape [rows, columns], for messages.
            nulls: Whether a number with a fraction may be null in JSON, which becomes NaN.

        Raises:
            RequestError: The number of values does not fit the shape, or a value does not fit the datatype.
        """
        count = self.size
        if self.raw is not None:
            return self._from_bytes(count)
        data = self.data or ()
        if len(data) != count:
            raise RequestError(
                f"input '{self.name}': {len(data)} values for shape {list(self.shape)}", fix=f"send {count}"
            )
        allowed = _allowed_types(self.datatype, nulls)
        if not allowed.issuperset(map(type, data)):
            index, value = next((index, value) for index, value in enumerate(data) if type(value) not in allowed)
            raise RequestError(
                f"{self._place(index, columns)}: {json_type(value)} in a tensor of type {self.datatype}",
                fix="correct the value or the datatype",
            )
        if self.datatype == "BYTES":
            return np.array([_text(value) for value in data], dtype=object).reshape(self.shape)
        # JSON numbers of a 32-bit type may have more digits than the type; keep them.
        numpy_type = np.dtype(np.float64 if self.datatype.startswith("FP") else NUMPY_TYPES[self.datatype])
        try:
            return np.array(data, dtype=numpy_type).reshape(self.shape)
        except OverflowError as error:
            index = next(index for index, value in enumerate(data) if _overflows(value, numpy_type))
            raise RequestError(
                f"{self._place(index, columns)}: a number too large for {self.datatype}",
                fix="correct the value or the datatype",
            ) from error

    def _place(self, index: int, columns: Sequence[str]) -> str:
        """Return the place of the value with this flat index, for a message."""
        row, column = divmod(index, math.prod(self.shape[1:]))  # the product is not 0, because there is a value
        return f"input '{self.name}', row {row}" + (f", channel '{columns[column]}'" if columns else "")

    def _from_bytes(self, count: int) -> Array:
        raw = self.raw or b""
        shape = list(self.shape)
        if self.datatype == "BYTES":
            texts = list(_texts(self.name, bytes(raw)))
            if len(texts) != count:
                raise RequestError(f"input '{self.name}': {len(texts)} texts for shape {shape}", fix=f"send {count}")
            return np.array(texts, dtype=object).reshape(self.shape)
        dtype = np.dtype(NUMPY_TYPES[self.datatype])
        if len(raw) != count * dtype.itemsize:
            raise RequestError(
                f"input '{self.name}': {len(raw)} bytes for shape {shape} of {self.datatype}, "
                f"which takes {count * dtype.itemsize}",
                fix="correct the shape or the data",
            )
        return np.frombuffer(raw, dtype=dtype).reshape(self.shape)


def _overflows(value: object, numpy_type: "np.dtype[Any]") -> bool:
    try:
        np.array(value, dtype=numpy_type)
    except OverflowError:
        return True
    return False


def _allowed_types(datatype: str, nulls: bool) -> set[type]:
    """Return the types that single values of a datatype may have, in JSON or in typed contents of gRPC."""
    if datatype == "BYTES":
        return {str, bytes}
    if datatype == "BOOL":
        return {bool}
    if datatype.startswith("FP"):
        return {int, float, type(None)} if nulls else {int, float}
    return {int}


def datatype_of(array: Array) -> str:
    """Return the name of an array's datatype in the protocol."""
    return "BYTES" if array.dtype == object else DATATYPES[array.dtype]


def to_bytes(array: Array) -> bytes | memoryview:
    """Return the values of an array as binary data of the protocol; numbers are not copied."""
    if array.dtype != object:
        return array.ravel().view(np.uint8).data
    texts = array.ravel().tolist()
    encoded = {text: text.encode() for text in set(texts)}  # channel names are repeated many times
    pieces = {text: len(code).to_bytes(_LENGTH_BYTES, "little") + code for text, code in encoded.items()}
    return b"".join([pieces[text] for text in texts])


def tensor_of(index: int, item: dict[str, Any], binary: memoryview, start: int) -> tuple[Tensor, int]:
    """Read a tensor.

    Args:
        index: Position of the tensor in the request.
        item: JSON of the tensor.
        binary: Body that contains the binary data.
        start: Offset of the tensor's binary data, if it has any.

    Returns:
        The tensor, and the offset of the next tensor's binary data.

    Raises:
        RequestError: The JSON does not describe a tensor.
    """
    name = name_of(item, f"input {index}")
    datatype, shape = item.get("datatype"), item.get("shape")
    if not isinstance(datatype, str) or not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise RequestError(
            f"input '{name}': it lacks a datatype or a shape", fix='send them, as in "datatype": "FP64", "shape": [2]'
        )
    size = parameters_of(item, f"input '{name}'").get("binary_data_size")
    if size is None:
        return Tensor(name, datatype, tuple(shape), _flat(name, item.get("data"))), start
    if type(size) is not int or not 0 <= size <= len(binary) - start:
        raise RequestError(f"input '{name}': its binary_data_size is not within the body", fix="correct it")
    return Tensor(name, datatype, tuple(shape), None, binary[start : start + size]), start + size


def name_of(item: dict[str, Any], owner: str) -> str:
    """Return the name of a tensor.

    Raises:
        RequestError: The tensor has no name.
    """
    name = item.get("name")
    if not isinstance(name, str):
        raise RequestError(f"{owner}: it has no name", fix="give it one")
    return name


def _flat(name: str, data: object) -> list[object]:
    """Return the values of nested lists."""
    if not isinstance(data, list):
        raise RequestError(f"input '{name}': neither a list \"data\" nor a binary_data_size", fix="send one of them")
    while data and type(data[0]) is list:
        if not all(type(inner) is list for inner in data):
            raise RequestError(f"input '{name}': a ragged list", fix="send a flat one")
        data = list(chain.from_iterable(data))
    return data


def _texts(name: str, raw: bytes) -> Iterable[str]:
    start = 0
    while start < len(raw):
        end = start + _LENGTH_BYTES + int.from_bytes(raw[start : start + _LENGTH_BYTES], "little")
        if end > len(raw) or start + _LENGTH_BYTES > len(raw):
            raise RequestError(f"input '{name}': its binary data end within a text", fix="correct them")
        yield _text(raw[start + _LENGTH_BYTES : end])
        start = end


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
