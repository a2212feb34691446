"""The wire format of Protocol Buffers, as far as it is needed to see how much there is to read."""

_LOW_BITS, _MOST_BITS = 0x7F, 70  # of a byte of a variable-length number, and of all of its bytes
_FIXED_BYTES = {1: 8, 5: 4}  # by wire type
_NUMBER, _LENGTH, _GROUPS = 0, 2, (3, 4)  # wire types


def holds_more_fields(message: bytes, most: int) -> bool:
    """Return whether a message has more fields than this, counting repeated ones each time.

    A message of 8 MiB may have four million inputs, which take a gigabyte of memory once they are read.

    Args:
        message: The serialized message. What follows after an error in it does not count.
        most: Number of fields; no more are looked at.
    """
    position = 0
    try:
        for _ in range(most):
            if position >= len(message):
                return False
            tag, position = _number(message, position)
            kind = tag & 7
            if kind == _NUMBER:
                _, position = _number(message, position)
            elif kind == _LENGTH:
                size, position = _number(message, position)
                position += size
            elif kind in _FIXED_BYTES:
                position += _FIXED_BYTES[kind]
            else:  # a group may hold any number of fields; no message of the protocol has one
                return kind in _GROUPS
    except IndexError:
        return False
    return position < len(message)


def _number(message: bytes, position: int) -> tuple[int, int]:
    """Return the variable-length number at a position, and the position after it."""
    value = 0
    for shift in range(0, _MOST_BITS, 7):
        byte = message[position]
        position += 1
        value |= (byte & _LOW_BITS) << shift
        if byte <= _LOW_BITS:
            return value, position
    raise IndexError("no number of 64 bits ends here")
