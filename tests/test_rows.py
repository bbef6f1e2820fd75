"""Rows of checks, units that name their functions, and frames that become one."""

from __future__ import annotations

import pandas as pd
import pytest

from crosscheck.claims import Check, Equal, Identity, Unit, rows, unit

MEAN = Check("mean", "It is zero.", Equal(0.1), "0", "one is added", settings=("a", "b"))
LAW = Check("law", "It is exact.", Identity(), "0", "one is added", exact=True)


def test_a_check_makes_the_rows_of_both_its_arms() -> None:
    both = MEAN.rows([1.0, 2.0], 3.0, reference=[5.0, 6.0], setting="b", seed=[0, 1])
    by_hand = {"check": "mean", "setting": "b", "seed": [0, 1], "reference": [5.0, 6.0]}
    arms = (("claim", [1.0, 2.0]), ("control", 3.0))
    expected = pd.concat([rows.tidy(arm=arm, value=value, **by_hand) for arm, value in arms])
    pd.testing.assert_frame_equal(both, expected)
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


def test_rows_of_other_types_and_in_another_order_are_made_what_is_promised() -> None:
    promised = rows.tidy(check="mean", quantity="3", seed=[0, 1], value=[1.0, 2.0])
    assert list(promised.columns) == list(rows.COLUMNS)
    other = promised.astype({"seed": "float64", "value": "int64"}).assign(quantity=3, more="")
    pd.testing.assert_frame_equal(rows.gathered(other[other.columns[::-1]]), promised)


def test_frames_that_a_measuring_function_yields_become_one() -> None:
    gathered = rows.gathered(measure((0,), "a"))
    assert list(gathered["value"]) == [10, 1] and list(gathered.index) == [0, 1]
    pd.testing.assert_frame_equal(rows.gathered(pd.concat(measure((0,), "a"))), gathered)
