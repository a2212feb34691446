"""Quantities of CPU and memory as Kubernetes writes them."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]?|[KMGTPE]i)")
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def canonical(text: str) -> str:
    """The form in which Kubernetes itself writes a quantity: `1Gi` for `1024Mi`, `500m` for `0.5`.

    Katib refuses a trial template that Kubernetes would write in another way.

    Raises:
        ValueError: It is none, or finer than Kubernetes counts.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no quantity as Kubernetes writes it, such as 500m or 2Gi")
    suffixes, base = (_BINARY, 1024) if match[2].endswith("i") else (_DECIMAL, 1000)
    exponent = suffixes.index(match[2])
    number = Decimal(match[1]) * base**exponent
    if number % 1:
        raise ValueError(f"{text} is finer than Kubernetes counts")
    exponent, value = 0, int(number)
    while value and value % base == 0 and exponent + 1 < len(suffixes):
        exponent, value = exponent + 1, value // base
    return f"{value}{suffixes[exponent]}" if value else "0"


Quantity = Annotated[str, AfterValidator(canonical)]
