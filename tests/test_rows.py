"""Rows that compare subjects, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crosscheck.claims import Check, Equal, Identity, Unit, rows, unit

FOUND = {"net, a": {"loss": np.array([1.0, 2.0])}, "net, b": {"loss": np.array([3.0, 5.0])}}
SEEDS = {"seed": [7, 8], "setting": "digits"}


def test_both_arms_differ_in_one_column() -> None:
    both = rows.both_arms("reference", [1.0, 2.0], 3.0, check="c", value=[5.0, 6.0], seed=[0, 1])
    assert list(both["arm"]) == ["claim", "claim", "control", "control"]
    assert list(both["reference"]) == [1, 2, 3, 3]
    assert list(both["value"]) == [5, 6, 5, 6]


def test_comparisons_hold_one_subject_against_another_seed_by_seed() -> None:
    checks = {
        "c": ("loss", "net, b", "net, a", "worse, a"),
        "elsewhere": ("loss", "none", "net, a", "net, b"),
    }
    comparisons = rows.compared(FOUND, checks, {"worse, a": {"loss": np.array([8.0, 9.0])}}, **SEEDS)
    judged = comparisons[comparisons["check"] != ""]
    assert set(judged["check"]) == {"c"}
    assert list(judged["value"]) == [3, 5, 3, 5]
    assert list(judged["reference"]) == [1, 2, 8, 9]
    assert list(judged["seed"]) == [7, 8, 7, 8]


def test_scores_are_read_back_by_their_parts() -> None:
    scores = rows.scored(rows.compared(FOUND, {}, **SEEDS), "what", "by")
    assert list(scores["what"]) == ["net"] * 4
    assert list(scores["by"]) == ["a", "a", "b", "b"]
    assert list(scores["score"]) == ["loss"] * 4
    assert list(scores["value"]) == [1, 2, 3, 5]


MEAN = Check("mean", "It is zero.", Equal(0.1), "0", "one is added", settings=("a", "b"))
LAW = Check("law", "It is exact.", Identity(), "0", "one is added", exact=True)


def test_a_check_makes_the_rows_of_both_its_arms() -> None:
    both = MEAN.rows([1.0, 2.0], 3.0, reference=[5.0, 6.0], setting="b", seed=[0, 1])
    by_hand = {"check": "mean", "setting": "b", "seed": [0, 1], "reference": [5.0, 6.0]}
    pd.testing.assert_frame_equal(both, rows.both_arms("value", [1.0, 2.0], 3.0, **by_hand))
    alone = MEAN.rows(control=[3.0], setting="a", seed=[0])
    assert list(alone["arm"]) == ["control"]


@pytest.mark.parametrize(
    ("check", "arguments", "complaint"),
    [
        (MEAN, {"setting": "a", "seed": [0]}, "neither"),
        (MEAN, {"claim": 1.0, "setting": "c", "seed": [0]}, "has no setting 'c'"),
        (MEAN, {"claim": 1.0, "seed": [0]}, "has no setting ''"),
        (MEAN, {"claim": 1.0, "setting": "a"}, "judged over seeds"),
        (MEAN, {"claim": 1.0, "setting": "a", "seed": [0], "seeds": 1}, "no column"),
        (MEAN, {"claim": [1.0, 2.0], "setting": "a", "seed": [0, 1, 2]}, "shape"),
        (LAW, {"claim": 1.0}, "resolution"),
    ],
)
def test_a_check_refuses_rows_that_cannot_be_its_own(check, arguments, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        check.rows(**arguments)


def measure(seeds, name, examples=10):
    yield rows.tidy(check="mean", value=[float(examples)], seed=seeds, setting=name)
    yield rows.tidy(check="mean", value=[1.0], seed=seeds, setting="b")


def test_a_unit_names_its_function_and_what_it_is_told() -> None:
    work = unit(measure, (3,), data="digits", examples=20, cost=2)
    assert work == Unit("test_rows", "measure", {"name": "digits", "examples": 20}, (3,), ("digits",), cost=2)
    assert unit(measure, name="a", data=("digits",)).setting == {"name": "a"}


@pytest.mark.parametrize("wrong", [{}, {"name": "a", "colour": 1}])
def test_a_unit_refuses_arguments_that_its_function_does_not_take(wrong) -> None:
    with pytest.raises(TypeError):
        unit(measure, (0,), **wrong)


def test_frames_that_a_measuring_function_yields_become_one() -> None:
    gathered = rows.gathered(measure((0,), "a"))
    assert list(gathered["value"]) == [10, 1] and list(gathered.index) == [0, 1]
    pd.testing.assert_frame_equal(rows.gathered(pd.concat(measure((0,), "a"))), gathered)
