"""Tensors of the Open Inference Protocol (V2): as JSON, or as binary data behind the JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.serving.protocol.inputs import RequestError, kind

NUMPY_TYPES: dict[str, npt.DTypeLike] = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = {np.dtype(numpy_type): name for name, numpy_type in NUMPY_TYPES.items()}
_LENGTH_BYTES = 4  # before each text of binary data
_LARGEST_SIZE, _MOST_DIMENSIONS = 2**31, 8  # far beyond what a body may hold

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """An input as sent: either values one by one, or bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Sequence[object] | None  # flat
    raw: bytes | memoryview | None = None

    def __post_init__(self) -> None:
        if self.datatype != "BYTES" and self.datatype not in NUMPY_TYPES:
            raise RequestError(f"input '{self.name}': unknown datatype {self.datatype[:40]!r}; use FP64 or FP32")
        if len(self.shape) > _MOST_DIMENSIONS or not all(0 <= size <= _LARGEST_SIZE for size in self.shape):
            raise RequestError(f"input '{self.name}': shape {list(self.shape[:_MOST_DIMENSIONS])} is none; fix it")

    def array(self, columns: Sequence[str] = ()) -> Array:
        """The values as numbers or booleans; texts as objects.

        Args:
            columns: Names of the columns of a tensor of shape [rows, columns], for messages.

        Raises:
            RequestError: Their number does not fit the shape, or a value not the data type.
        """
        count = math.prod(self.shape)
        if self.raw is not None:
            return self._from_bytes(count)
        data = self.data or ()
        if len(data) != count:
            raise RequestError(f"input '{self.name}': {len(data)} values for shape {list(self.shape)}; send as many")
        allowed = _allowed_types(self.datatype)
        if not allowed.issuperset(map(type, data)):
            index, value = next((index, value) for index, value in enumerate(data) if type(value) not in allowed)
            raise RequestError(
                f"{self._place(index, columns)}: {kind(value)} in a tensor of type {self.datatype}; fix it"
            )
        if self.datatype == "BYTES":
            return np.array([_text(value) for value in data], dtype=object).reshape(self.shape)
        # 32-bit numbers in JSON may have more digits than their type: none is cut off here.
        numpy_type = np.dtype(np.float64 if self.datatype.startswith("FP") else NUMPY_TYPES[self.datatype])
        try:
            return np.array(data, dtype=numpy_type).reshape(self.shape)
        except OverflowError as error:
            place = self._place(
                next(index for index, value in enumerate(data) if _overflows(value, numpy_type)), columns
            )
            raise RequestError(f"{place}: a number too large for {self.datatype}; fix it") from error

    def _place(self, index: int, columns: Sequence[str]) -> str:
        """Where the value with this flat index is."""
        row, column = divmod(index, math.prod(self.shape[1:]))  # not of 0: there is a value
        return f"input '{self.name}', row {row}" + (f", channel '{columns[column]}'" if columns else "")

    def _from_bytes(self, count: int) -> Array:
        raw = self.raw or b""
        if self.datatype == "BYTES":
            texts = list(_texts(self.name, bytes(raw)))
            if len(texts) != count:
                raise RequestError(f"input '{self.name}': {len(texts)} texts for shape {list(self.shape)}; fix it")
            return np.array(texts, dtype=object).reshape(self.shape)
        dtype = np.dtype(NUMPY_TYPES[self.datatype])
        if len(raw) != count * dtype.itemsize:
            raise RequestError(
                f"input '{self.name}': {len(raw)} bytes for shape {list(self.shape)} of {self.datatype}, "
                f"which takes {count * dtype.itemsize}; fix the shape or the data"
            )
        return np.frombuffer(raw, dtype=dtype).reshape(self.shape)


def _overflows(value: object, numpy_type: "np.dtype[Any]") -> bool:
    try:
        np.array(value, dtype=numpy_type)
    except OverflowError:
        return True
    return False


def _allowed_types(datatype: str) -> set[type]:
    """What the values of a tensor may be in JSON, or in the typed contents of gRPC."""
    if datatype == "BYTES":
        return {str, bytes}
    if datatype == "BOOL":
        return {bool}
    return {int, float} if datatype.startswith("FP") else {int}


def datatype_of(array: Array) -> str:
    """Name of the data type in the protocol."""
    return "BYTES" if array.dtype == object else DATATYPES[array.dtype]


def to_bytes(array: Array) -> bytes:
    """Binary data of the protocol."""
    if array.dtype != object:
        return array.tobytes()
    texts = array.ravel().tolist()
    encoded = {text: text.encode() for text in set(texts)}  # names of channels come many times
    pieces = {text: len(code).to_bytes(_LENGTH_BYTES, "little") + code for text, code in encoded.items()}
    return b"".join([pieces[text] for text in texts])


def tensor_of(index: int, item: dict[str, Any], binary: memoryview, start: int) -> tuple[Tensor, int]:
    """Read the JSON of a tensor.

    Args:
        index: Position of the tensor.
        item: Its JSON.
        binary: The body that holds the binary data.
        start: Where those of this tensor begin, if it has any.

    Returns:
        The tensor, and where the binary data of the next one begin.

    Raises:
        RequestError: The JSON describes no tensor.
    """
    name = name_of(item, f"input {index}")
    datatype, shape = item.get("datatype"), item.get("shape")
    if not isinstance(datatype, str) or not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise RequestError(f"input '{name}': no datatype and list of sizes; send them, as in FP64 and [rows]")
    size = parameters_of(item, f"input '{name}'").get("binary_data_size")
    if size is None:
        data = item.get("data")
        if not isinstance(data, list):
            raise RequestError(f"input '{name}': neither a list \"data\" nor a binary_data_size; send one of them")
        while data and type(data[0]) is list:
            if not all(type(part) is list for part in data):
                raise RequestError(f"input '{name}': a ragged list; send a flat one")
            data = list(chain.from_iterable(data))
        return Tensor(name, datatype, tuple(shape), data), start
    if type(size) is not int or not 0 <= size <= len(binary) - start:
        raise RequestError(f"input '{name}': its binary_data_size is not within the body; fix it")
    return Tensor(name, datatype, tuple(shape), None, binary[start : start + size]), start + size


def parameters_of(item: dict[str, Any], owner: str) -> dict[str, Any]:
    """The parameters of a request or a tensor.

    Raises:
        RequestError: They are no object.
    """
    found = item.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise RequestError(f"{owner}: its parameters are {kind(found)}; send an object")
    return found or {}


def name_of(item: dict[str, Any], owner: str) -> str:
    """The name of a tensor.

    Raises:
        RequestError: It has none.
    """
    name = item.get("name")
    if not isinstance(name, str):
        raise RequestError(f"{owner}: it has no name; give it one")
    return name


def _texts(name: str, raw: bytes) -> Iterable[str]:
    start = 0
    while start < len(raw):
        end = start + _LENGTH_BYTES + int.from_bytes(raw[start : start + _LENGTH_BYTES], "little")
        if end > len(raw) or start + _LENGTH_BYTES > len(raw):
            raise RequestError(f"input '{name}': its binary data end within a text; fix them")
        yield _text(raw[start + _LENGTH_BYTES : end])
        start = end


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
