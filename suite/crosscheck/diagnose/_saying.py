"""Findings in short: a fault, a note, a question, nothing wrong; and numbers as they are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output
from crosscheck.diagnose._program import Program

Repair = Callable[[Program], Program]


def fault(
    check: str,
    measured: str,
    why: str,
    fix: str,
    output: Output | None = None,
    repair: Repair | None = None,
    **more: Any,
) -> Finding:
    """✗"""
    name = output.name if output else ""
    return Finding(check, "✗", measured, output=name, why=why, fix=fix, repair=repair, **more)


def note(
    check: str, measured: str, why: str = "", fix: str = "", output: Output | None = None, **more: Any
) -> Finding:
    """Legal, but to be known."""
    return Finding(check, "note", measured, output=output.name if output else "", why=why, fix=fix, **more)


def undecided(check: str, measured: str, why: str = "", output: Output | None = None) -> Finding:
    """?"""
    return Finding(check, "?", measured, output=output.name if output else "", why=why)


def fine(check: str, measured: str, output: Output | None = None) -> Finding:
    """✓"""
    return Finding(check, "✓", measured, output=output.name if output else "")


def number(value: Any) -> str:
    """A number, as short as it can be."""
    return f"{float(value):.6g}"


def listed(values: Any, most: int = 6) -> str:
    """Numbers in a row; the first few where they are many."""
    shown = ", ".join(number(v) for v in list(values)[:most])
    return f"{shown}, … ({len(values)} values)" if len(values) > most else shown


def shape_of(array: np.ndarray) -> str:
    """The shape with N for the rows."""
    return "[" + ", ".join(["N", *(str(n) for n in array.shape[1:])]) + "]"
