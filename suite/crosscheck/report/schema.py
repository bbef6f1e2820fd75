"""The shape of verdict.json, and a check of it that says where a file departs from the shape.

A shape is a type (or several), a set of words, a list with one shape for each item, `Each` for any number of
items, or keys with theirs; a key that ends in `?` may be missing, and keys that are not named are let be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from crosscheck.claims.verdicts import RANK


@dataclass(frozen=True)
class Each:
    """A list, or an object under any keys, whose items all have one shape; at least so many of them."""

    shape: Any
    kind: type | tuple[type, ...] = (list, dict)
    least: int = 0


NUMBER = (int, float, type(None))
VERDICT = set(RANK)
INTERVAL = [NUMBER, NUMBER]
SPREAD = {"seed_sd?": NUMBER, "evaluation_error?": NUMBER, "detectable?": NUMBER}
ESTIMATE = {"theory": NUMBER, "estimate": NUMBER, "interval": INTERVAL, "level": NUMBER, "n": int}
CHECK = {
    **{"id": str, "statement": str, "kind": str, "criterion": str},
    **ESTIMATE,
    **{"verdict": VERDICT, "scope": Each(VERDICT, dict)},
    "control": {"statement": str, "estimate": NUMBER, "interval": INTERVAL, "verdict": VERDICT},
    **{"formula": str, "reason": str, "absent": Each(str, list)},
    "parts": Each({"setting": str, "verdict": VERDICT, **ESTIMATE, **SPREAD}, list),
    **SPREAD,
}
RECORD = {
    **{"study": str, "claim": str, "source": str, "verdict": VERDICT, "checks": Each(CHECK, list, least=1)},
    "provenance": {"error_rate?": NUMBER, "intervals?": NUMBER, "level?": NUMBER},
    **{"title": str, "formula": str, "correct": str},
    "advice?": {"question": str, "answer": str, "code": str},
    "published?": {
        **{"what": str, "by": str, "differences": Each([str, str])},
        "numbers": Each({"of": str, "value": NUMBER, "check": str}),
    },
}


def ordered(value: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    """The same with the keys in the shape's order, further ones after them."""
    return {key: value[key] for key in shape if key in value} | value


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def conform(value: Any, shape: Any, where: str) -> None:
    """Raise a ValueError that says where a value departs from its shape."""
    if isinstance(shape, set):
        known = isinstance(value, str) and value in shape
        require(known, f"{where} is {value!r}, not one of {', '.join(sorted(shape))}")
    elif isinstance(shape, dict):
        conform_keys(value, shape, where)
    elif isinstance(shape, Each):
        require(isinstance(value, shape.kind), f"{where} is no such collection")
        require(len(value) >= shape.least, f"{where} is empty")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            conform(item, shape.shape, f"{where}[{key}]")
    elif isinstance(shape, list):
        require(isinstance(value, list) and len(value) == len(shape), f"{where} is no list of {len(shape)}")
        for i, inner in enumerate(shape):
            conform(value[i], inner, f"{where}[{i}]")
    else:
        require(isinstance(value, shape) and not isinstance(value, bool), f"{where} is {value!r}")


def conform_keys(value: Any, shape: dict[str, Any], where: str) -> None:
    require(isinstance(value, dict), f"{where} is not an object")
    for key, inner in shape.items():
        name = key.removesuffix("?")
        require(name in value or name != key, f"{where} has no {name!r}")
        if name in value:
            conform(value[name], inner, f"{where}: {name}")


def require(met: bool, complaint: str) -> None:
    if not met:
        raise ValueError(complaint)
