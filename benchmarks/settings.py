"""What parent and worker share: the settings and the mark of an answer. It imports no backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Setting = Mapping[str, Any]
ANSWER = "benchmark: "  # begins an answer: libraries print to the same stream
DIGITS = {"data": "digits", "inputs": [64], "hidden": 64, "batch": 64}
RANDOM = {"data": "random", "batch": 64}
DIGITS_EXAMPLES = 1797


def examples(setting: Setting) -> int:
    return setting.get("examples", DIGITS_EXAMPLES)


def steps(setting: Setting) -> int:
    """Steps of all epochs; the last of an epoch may be of a smaller batch."""
    return -(-examples(setting) // setting["batch"]) * setting["epochs"]
