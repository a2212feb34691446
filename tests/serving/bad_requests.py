"""Requests that must be refused, and the text that the refusal must contain."""

from typing import Any

from tests.serving.bundles import CHANNELS, ROW

LIST = [1012.5, 17.75, 3510.0]

# The second row of a request, and the text of the answer.
BAD_ROWS: dict[str, tuple[Any, str]] = {
    "missing channel": ({name: ROW[name] for name in CHANNELS[:2]}, "row 1, channel 'fan_speed': missing"),
    "unknown channel": ({**ROW, "pump": 1.0, "heater": 2.0}, "row 1, channel 'heater': unknown"),
    "empty object": ({}, "row 1, channel 'cabin_pressure': missing"),
    "null": ({**ROW, "fan_speed": None}, "row 1, channel 'fan_speed': null"),
    "text": ({**ROW, "fan_speed": "3500"}, "row 1, channel 'fan_speed': a text"),
    "boolean": ({**ROW, "fan_speed": True}, "row 1, channel 'fan_speed': a boolean"),
    "nested list": ([*LIST[:2], [1.0]], "row 1, channel 'fan_speed': a list"),
    "nested object": ([{}, *LIST[1:]], "row 1, channel 'cabin_pressure': an object"),
    "short row": (LIST[:2], "row 1: 2 values for 3 channels"),
    "long row": ([*LIST, 1.0], "row 1: 4 values for 3 channels"),
    "empty row": ([], "row 1: 0 values for 3 channels"),
    "number": (3.0, "row 1: a number"),
    "no row": (None, "row 1: null"),
    "beyond float32": ({**ROW, "coolant_temperature": 1e300}, "row 1, channel 'coolant_temperature': 1e+300"),
    "beyond float32 when scored": ({**ROW, "coolant_temperature": -1e37}, "row 1, channel 'coolant_temperature': -"),
}

# The whole body, and the text of the answer.
BAD_BODIES: dict[str, tuple[Any, str]] = {
    "no rows": ({"instances": []}, '"instances" is empty'),
    "instances no list": ({"instances": {"0": LIST}}, '"instances" is an object'),
    "instances null": ({"instances": None}, '"instances" is null'),
    "other protocol": ({"inputs": [LIST]}, 'no key "instances"'),
    "list": ([LIST], "not a JSON object"),
    "null": (None, "not a JSON object"),
    "text": ("instances", "not a JSON object"),
}
