"""Kubernetes quantities of CPU and memory."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]?|[KMGTPE]i)")
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def canonical(text: str) -> str:
    """Return the canonical form of a quantity, such as `1Gi` for `1024Mi` or `500m` for `0.5`.

    Katib refuses a trial template whose quantities are not in canonical form.

    Raises:
        ValueError: The text is not a quantity, or is more precise than Kubernetes allows.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not a Kubernetes quantity such as 500m or 2Gi")
    suffixes, base = (_BINARY, 1024) if match[2].endswith("i") else (_DECIMAL, 1000)
    exponent = suffixes.index(match[2])
    number = Decimal(match[1]) * base**exponent
    if number % 1:
        raise ValueError(f"{text} is more precise than Kubernetes allows")
    exponent, value = 0, int(number)
    while value and value % base == 0 and exponent + 1 < len(suffixes):
        exponent, value = exponent + 1, value // base
    return f"{value}{suffixes[exponent]}" if value else "0"


Quantity = Annotated[str, AfterValidator(canonical)]
