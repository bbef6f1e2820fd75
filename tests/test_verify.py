"""Comparing two sets of verdicts, on made-up ones: what counts as drift, and what does not."""

from __future__ import annotations

import copy
import math

import pytest

from suite import verify

HALF = 0.1
N = 25
SD = 0.2


def part(
    estimate: float | None = 0.5, verdict: str = "holds", setting: str = "", level: float = 0.999
) -> dict:
    interval = [None, None] if estimate is None else [estimate - HALF, estimate + HALF]
    if level == 1:
        interval = [estimate, estimate]
    shared = {"estimate": estimate, "interval": interval, "level": level, "n": N, "seed_sd": SD}
    return {"setting": setting, "verdict": verdict, **shared}


def check(*parts: dict, id: str = "gap", absent: tuple[str, ...] = (), **own: object) -> dict:
    shown = parts[0] if parts else {**part(None, "undecided"), "n": 0}
    control = {"verdict": "fails", "estimate": 3.0, "interval": [2.9, 3.1]}
    return {**shown, "id": id, "parts": list(parts), "absent": list(absent), "control": control, **own}


def study(*checks: dict, **provenance: object) -> dict:
    return {"checks": list(checks), "provenance": {"versions": {"keras": "3.15.0"}, **provenance}}


def drifts(then: dict, now: dict) -> list[tuple[str, str]]:
    lines = verify.compare({"s": study(then)}, {"s": study(now)})
    return [(line.id, line.drift) for line in lines if line.drift]


def test_the_same_verdicts_do_not_drift() -> None:
    reference = {"s": study(check(part()), check(part(None, "undecided"), id="other"))}
    lines = verify.compare(reference, copy.deepcopy(reference))
    assert [line.id for line in lines] == ["s/gap", "s/other"]
    assert not any(line.drift for line in lines)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_estimate_may_move_by_the_joint_half_width_and_no_further(sign: int) -> None:
    reach = sign * math.hypot(HALF, HALF)
    assert drifts(check(part(0.5)), check(part(0.5 + 0.99 * reach))) == []
    assert drifts(check(part(0.5)), check(part(0.5 + 1.01 * reach))) == [("s/gap", "estimate")]


def test_the_distance_is_told_in_joint_standard_errors() -> None:
    (line,) = verify.compare({"s": study(check(part(0.5)))}, {"s": study(check(part(0.6)))})
    assert line.moved == pytest.approx(0.1 / (math.sqrt(2) * SD / math.sqrt(N)))


def test_a_verdict_that_changed_drifts_however_close_the_estimates() -> None:
    assert drifts(check(part()), check(part(verdict="undecided"))) == [("s/gap", "verdict")]


def test_a_setting_whose_verdict_changed_drifts_although_the_check_decides_by_another() -> None:
    worse = part(verdict="undecided", setting="digits")
    then, now = part(setting="mnist"), part(setting="mnist", verdict="undecided")
    assert drifts(check(worse, then), check(worse, now)) == [("s/gap [mnist]", "verdict")]


def test_exact_estimates_may_differ_on_the_same_side_of_the_criterion() -> None:
    then, now = part(1.0, level=1), part(3.0, level=1)
    assert drifts(check(then), check(now)) == []
    assert drifts(check(then), check({**now, "verdict": "fails"})) == [("s/gap", "verdict")]


def test_a_number_that_is_none_any_more_drifts() -> None:
    assert drifts(check(part()), check(part(None))) == [("s/gap", "no longer a number")]
    assert drifts(check(part(None)), check(part())) == [("s/gap", "a number only now")]


def test_an_interval_without_end_agrees_with_any_number_of_equal_verdict() -> None:
    endless = {**part(9.0, "undecided"), "interval": [None, None]}
    assert drifts(check(part(0.5, "undecided")), check(endless)) == []


def test_each_setting_is_compared_and_named() -> None:
    then = check(part(setting="digits"), part(setting="mnist"))
    now = check(part(setting="digits"), part(9.0, setting="mnist"))
    assert drifts(then, now) == [("s/gap [mnist]", "estimate")]


@pytest.mark.parametrize("label", ["mnist", "mnist · tensorflow/cpu"])
def test_an_absent_data_set_is_named_and_no_drift(label: str) -> None:
    both = check(part(setting="digits"), part(setting=label, verdict="fails"), verdict="fails")
    one = check(part(setting="digits"), absent=("mnist",), verdict="holds")
    assert drifts(both, one) == []
    assert drifts(one, both) == []
    assert verify.left_out({"s": study(both)}, {"s": study(one)}) == ["mnist"]


def test_a_setting_that_vanished_without_its_data_set_being_absent_drifts() -> None:
    both = check(part(setting="digits"), part(setting="mnist"))
    assert drifts(both, check(part(setting="digits"))) == [("s/gap [mnist]", "missing now")]


def test_a_control_that_no_longer_fails_drifts_even_where_data_are_absent() -> None:
    now = check(part(setting="digits"), absent=("mnist",), verdict="invalid")
    assert drifts(check(part(setting="digits")), now) == [("s/gap", "verdict")]


def test_checks_and_studies_on_one_side_only_drift() -> None:
    reference = {"a": study(check(part())), "b": study(check(part()))}
    now = {"a": study(check(part()), check(part(), id="extra")), "c": study(check(part()))}
    lines = verify.compare(reference, now)
    assert [(line.id, line.drift) for line in lines if line.drift] == [
        ("a/extra", "new"),
        ("b/gap", "missing now"),
        ("c/gap", "new"),
    ]


def test_changes_name_versions_and_circumstances_that_differ() -> None:
    reference = {"s": study(backend="tensorflow", device="A", data={"digits": "1.0.0/ab"})}
    now = {"s": study(backend="tensorflow", device="B", data={"digits": "1.0.0/cd"})}
    now["s"]["provenance"]["versions"] = {"keras": "3.16.0"}
    assert verify.changes(reference, now) == [
        "keras 3.15.0 → 3.16.0",
        "digits 1.0.0/ab → 1.0.0/cd",
        "device A → B",
    ]
    assert verify.changes(reference, reference) == []
