"""Rows that compare subjects, and back."""

from __future__ import annotations

import numpy as np

from crosscheck.claims import rows

FOUND = {"net, a": {"loss": np.array([1.0, 2.0])}, "net, b": {"loss": np.array([3.0, 5.0])}}
SEEDS = {"seed": [7, 8], "setting": "digits"}


def test_both_arms_differ_in_one_column() -> None:
    told = rows.both_arms("reference", [1.0, 2.0], 3.0, check="c", value=[5.0, 6.0], seed=[0, 1])
    assert list(told["arm"]) == ["claim", "claim", "control", "control"]
    assert list(told["reference"]) == [1, 2, 3, 3]
    assert list(told["value"]) == [5, 6, 5, 6]


def test_comparisons_hold_one_subject_against_another_seed_by_seed() -> None:
    checks = {
        "c": ("loss", "net, b", "net, a", "worse, a"),
        "elsewhere": ("loss", "none", "net, a", "net, b"),
    }
    told = rows.compared(FOUND, checks, {"worse, a": {"loss": np.array([8.0, 9.0])}}, **SEEDS)
    judged = told[told["check"] != ""]
    assert set(judged["check"]) == {"c"}
    assert list(judged["value"]) == [3, 5, 3, 5]
    assert list(judged["reference"]) == [1, 2, 8, 9]
    assert list(judged["seed"]) == [7, 8, 7, 8]


def test_scores_are_read_back_by_their_parts() -> None:
    told = rows.scored(rows.compared(FOUND, {}, **SEEDS), "what", "by")
    assert list(told["what"]) == ["net"] * 4
    assert list(told["by"]) == ["a", "a", "b", "b"]
    assert list(told["score"]) == ["loss"] * 4
    assert list(told["value"]) == [1, 2, 3, 5]
