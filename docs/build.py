"""`docs/api.md` from the docstrings: `python docs/build.py` writes it, a test holds it to them.

Griffe reads the sources and imports nothing. What a module's `__all__` names is public, and is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import griffe
from griffe import DocstringSectionKind as Kind

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("api.md")
MODULES = (
    "losses",
    "metrics",
    "models",
    "regularizers",
    "optimizers",
    "callbacks",
    "calibration",
    "restoring",
    "decisions",
    "transitions",
    "trees",
    "detection",
    "replicates",
    "paths",
    "paths.probing",
    "doctor",
    "audit",
    "testing",
    "claims",
)
LONG = 80  # characters of a docstring from which a method is shown


def page() -> str:
    logging.getLogger("griffe").setLevel(logging.ERROR)  # several names in one entry, as in `x, y: labels`
    package = griffe.load("crosscheck", search_paths=[ROOT / "suite"], docstring_parser="google")
    package_parts = [part for name in MODULES for part in module(package[name])]
    intro = (
        "Built from the docstrings by `python docs/build.py`. Axes: R replicates, N examples, B batch, "
        "K classes, L labels, D features."
    )
    return "\n\n".join(["# API", intro, *package_parts]) + "\n"


def module(of: griffe.Object) -> Iterator[str]:
    """A module's first paragraph, then an entry for each public name."""
    yield f"## `{of.path}`"
    yield " ".join(of.docstring.value.split("\n\n")[0].split()) if of.docstring else ""
    for name in of.exports or ():
        member = of[str(name)]
        yield from entry(member.final_target if member.is_alias else member, str(name))


def entry(of: griffe.Object, name: str) -> Iterator[str]:
    if of.is_class:
        yield f"### class `{name}`"
        yield f"```python\n{name}{signature(of.parameters, None)}\n```"
        yield from described(of)
        for method in methods(of):
            yield f"#### `{name}.{method.name}`"
            yield f"```python\n{method.signature()}\n```"
            yield from described(method)
    elif of.is_function:
        yield f"### `{name}`"
        yield f"```python\n{of.signature()}\n```"
        yield from described(of)


def signature(parameters: griffe.Parameters, returns: object) -> str:
    made = griffe.Function("", parameters=griffe.Parameters(*(p for p in parameters if p.name != "self")))
    return made.signature()


def methods(of: griffe.Object) -> Iterator[griffe.Function]:
    """What a class adds of its own and documents at some length."""
    for name, member in of.members.items():
        public = not name.startswith("_") and not member.is_alias and member.is_function
        if public and member.docstring and len(member.docstring.value) > LONG:
            yield member


def described(of: griffe.Object) -> Iterator[str]:
    """A docstring as Markdown: its sections become lists."""
    for section in of.docstring.parsed if of.docstring else ():
        heading = f"**{section.title or section.kind.value.title()}**"
        if section.kind is Kind.text:
            yield section.value
        elif section.kind is Kind.examples:
            yield "\n\n".join(
                f"```pycon\n{text}\n```" if kind is Kind.examples else text for kind, text in section.value
            )
        elif section.kind in (Kind.parameters, Kind.attributes):
            yield f"{heading}\n\n" + "\n".join(
                f"- `{item.name}`: {joined(item.description)}" for item in section.value
            )
        elif section.kind is Kind.raises:
            yield f"{heading}\n\n" + "\n".join(
                f"- `{item.annotation}`: {joined(item.description)}" for item in section.value
            )
        elif section.kind in (Kind.returns, Kind.yields):
            yield f"{heading}\n\n" + " ".join(joined(item.description) for item in section.value)
        elif section.kind is Kind.admonition:
            yield f"**{section.title}**: {joined(section.value.description)}"


def joined(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
