"""Comparing two sets of verdicts, on made-up ones: what counts as drift, and what does not."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import msgspec
import pytest

from crosscheck.claims import Criterion, Equal, Exceeds, Identity, Trend
from crosscheck.cli import drift
from crosscheck.errors import UsageError
from crosscheck.report import comparison
from crosscheck.report.records import VerdictRecord
from crosscheck.running import rerun

HALF = 0.1
N = 25
SD = 0.2


def part(
    estimate: float | None = 0.5, verdict: str = "holds", setting: str = "", level: float = 0.999
) -> dict:
    interval = [None, None] if estimate is None else [estimate - HALF, estimate + HALF]
    if level == 1:
        interval = [estimate, estimate]
    shared = {
        "theory": None,
        "estimate": estimate,
        "interval": interval,
        "level": level,
        "n": N,
        "seed_sd": SD,
    }
    return {"setting": setting, "verdict": verdict, **shared}


def check(*parts: dict, id: str = "gap", absent: tuple[str, ...] = (), **own: object) -> dict:
    shown = parts[0] if parts else {**part(None, "undecided"), "n": 0}
    told = {"statement": "", "kind": "equal", "criterion": "", "formula": "", "reason": "", "scope": {}}
    control = {**part(3.0, "fails"), "statement": "", "interval": [2.9, 3.1]}
    return {
        **told,
        **shown,
        "id": id,
        "parts": list(parts),
        "absent": list(absent),
        "control": control,
        **own,
    }


def study(*checks: dict, **provenance: object) -> VerdictRecord:
    told = dict.fromkeys(("study", "claim", "source", "title", "formula", "correct"), "")
    provenance = {"versions": {"keras": "3.15.0"}, **provenance}
    record = {**told, "verdict": "holds", "checks": list(checks), "provenance": provenance}
    return msgspec.convert(record, VerdictRecord)


def drifts(then: dict, now: dict) -> list[tuple[str, str]]:
    lines = comparison.compare({"s": study(then)}, {"s": study(now)})
    return [(line.id, line.drift) for line in lines if line.drift]


def test_the_same_verdicts_do_not_drift() -> None:
    reference = {"s": study(check(part()), check(part(None, "undecided"), id="other"))}
    lines = comparison.compare(reference, copy.deepcopy(reference))
    assert [line.id for line in lines] == ["s/gap", "s/other"]
    assert not any(line.drift for line in lines)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_estimate_may_move_by_the_joint_half_width_and_no_further(sign: int) -> None:
    reach = sign * math.hypot(HALF, HALF)
    assert drifts(check(part(0.5)), check(part(0.5 + 0.99 * reach))) == []
    assert drifts(check(part(0.5)), check(part(0.5 + 1.01 * reach))) == [("s/gap", "estimate")]


def test_the_distance_is_told_in_joint_standard_errors() -> None:
    (line,) = comparison.compare({"s": study(check(part(0.5)))}, {"s": study(check(part(0.6)))})
    assert line.moved == pytest.approx(0.1 / (math.sqrt(2) * SD / math.sqrt(N)))


def test_a_verdict_that_changed_drifts_however_close_the_estimates() -> None:
    assert drifts(check(part()), check(part(verdict="undecided"))) == [("s/gap", "verdict")]


def test_a_setting_whose_verdict_changed_drifts_although_the_check_decides_by_another() -> None:
    worse = part(verdict="undecided", setting="digits")
    then, now = part(setting="mnist"), part(setting="mnist", verdict="undecided")
    assert drifts(check(worse, then), check(worse, now)) == [("s/gap [mnist]", "verdict")]


UNITS = "largest deviation ≤ 4 units in the last place"


def test_deviations_of_an_identity_within_its_units_are_rounding() -> None:
    then, now = part(0.5, level=1), part(4.0, level=1)
    assert drifts(check(then, criterion=UNITS), check(now, criterion=UNITS)) == []
    failing = check({**now, "verdict": "fails"}, criterion=UNITS)
    assert drifts(check(then, criterion=UNITS), failing) == [("s/gap", "verdict")]


@pytest.mark.parametrize(
    "criterion", [UNITS, "difference ≥ 0.99", "within theory ± 0.05", "every step ≥ 1e-3"]
)
@pytest.mark.parametrize("size", [1e3, -1e3])
def test_numbers_in_which_nothing_is_random_are_equal_to_rounding(criterion: str, size: float) -> None:
    """A lost gradient, say, is lost by as many units as before."""

    def moved(by: float) -> list[tuple[str, str]]:
        pair = (part(size * factor, "fails", level=1) for factor in (1, 1 + by))
        then, now = (check(each, criterion=criterion) for each in pair)
        return drifts(then, now)

    far = 8 / 1e3 if criterion == UNITS else 2 * comparison.ROUNDING
    assert moved(comparison.ROUNDING / 2) == []
    assert moved(far) == [("s/gap", "beyond rounding")]


def test_rounding_is_counted_in_the_margin_where_the_number_is_smaller() -> None:
    both = check(part(1e-16, level=1), criterion="within theory ± 0.05")
    assert drifts(both, check(part(-3e-16, level=1), criterion="within theory ± 0.05")) == []
    far = check(part(1e-4, level=1), criterion="within theory ± 0.05")
    assert drifts(both, far) == [("s/gap", "beyond rounding")]


CRITERIA = (
    *(Identity(8), Equal(0.05), Exceeds(0.99), Exceeds(-0.2)),
    *(Trend(1e-5), Trend(-1e-5, increasing=False), Trend()),
)


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_a_record_without_a_region_has_it_by_what_the_criterion_says(criterion: Criterion) -> None:
    region = tuple(end if math.isfinite(end) else None for end in criterion.region)
    assert comparison.region_said(str(criterion)) == region


def test_a_region_counts_and_not_what_the_criterion_says() -> None:
    def moved(region: list[float | None], by: float) -> list[tuple[str, str]]:
        sides = (check(part(x, level=1), criterion="at least −3 to 7", region=region) for x in (0.0, by))
        return drifts(*sides)

    margin = -0.2
    assert moved([margin, None], 0.9 * comparison.ROUNDING * 0.2) == []
    assert moved([margin, None], 1.1 * comparison.ROUNDING * 0.2) == [("s/gap", "beyond rounding")]
    assert moved([None, 8.0], 7.9) == []  # an identity: units in the last place
    assert moved([None, 8.0], 8.1) == [("s/gap", "beyond rounding")]


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
    assert comparison.left_out({"s": study(both)}, {"s": study(one)}) == ["mnist"]


def test_a_check_that_was_not_run_for_want_of_data_is_no_drift_whatever_its_settings_are_called() -> None:
    both = check(part(setting="8 components"), part(setting="64 components"))
    none = check(absent=("clinc_oos",), verdict="open", unrun=True)
    assert drifts(both, none) == []
    assert drifts(none, both) == []
    assert comparison.left_out({"s": study(both)}, {"s": study(none)}) == ["clinc_oos"]
    without_reason = check(verdict="undecided", unrun=True)
    assert drifts(both, without_reason) == [
        ("s/gap [8 components]", "missing now"),
        ("s/gap [64 components]", "missing now"),
    ]


def test_a_setting_that_vanished_without_its_data_set_being_absent_drifts() -> None:
    both = check(part(setting="digits"), part(setting="mnist"))
    assert drifts(both, check(part(setting="digits"))) == [("s/gap [mnist]", "missing now")]


def test_a_control_that_no_longer_fails_drifts_even_where_data_are_absent() -> None:
    now = check(part(setting="digits"), absent=("mnist",), verdict="invalid")
    assert drifts(check(part(setting="digits")), now) == [("s/gap", "verdict")]


def test_checks_and_studies_on_one_side_only_drift() -> None:
    reference = {"a": study(check(part())), "b": study(check(part()))}
    now = {"a": study(check(part()), check(part(), id="extra")), "c": study(check(part()))}
    lines = comparison.compare(reference, now)
    assert [(line.id, line.drift) for line in lines if line.drift] == [
        ("a/extra", "new"),
        ("b/gap", "missing now"),
        ("c/gap", "new"),
    ]


def test_changes_name_versions_and_circumstances_that_differ() -> None:
    reference = {"s": study(backend="tensorflow", device="A", data={"digits": "1.0.0/ab"})}
    versions = {"keras": "3.16.0"}
    now = {"s": study(backend="tensorflow", device="B", data={"digits": "1.0.0/cd"}, versions=versions)}
    assert comparison.changes(reference, now) == [
        "keras 3.15.0 → 3.16.0",
        "digits 1.0.0/ab → 1.0.0/cd",
        "device A → B",
    ]
    assert comparison.changes(reference, reference) == []


def test_a_fresh_run_asks_for_what_the_reference_has_and_for_where_it_is_computed(tmp_path: Path) -> None:
    then = {
        "a": study(scale="smoke", backend="jax"),
        "b": study(),
        "c": study(scale="smoke", backend="jax"),
    }
    jax, plain = rerun.requests(then, tmp_path, jobs=3, on="auto")
    assert (jax.names, jax.scale, jax.backend, jax.jobs, jax.on) == (("a", "c"), "smoke", "jax", 3, "auto")
    assert (plain.names, plain.scale, plain.backend, plain.on) == (("b",), "standard", "tensorflow", "auto")
    assert all(request.on is None for request in rerun.requests(then, tmp_path))


# --- what is told -----------------------------------------------------------------------------------


def compared(redrawn: list[str] | None = None) -> drift.Comparison:
    """One estimate moved, the other stayed, and Keras is another one."""
    then = {"s": study(check(part(0.5)), check(part(0.5), id="same"))}
    now = {"s": study(check(part(0.9)), check(part(0.51), id="same"), versions={"keras": "3.16.0"})}
    return drift.between("results", then, "elsewhere", now, redrawn=redrawn)


def test_the_drift_table_says_what_moved_by_how_much_and_which_version_changed(capsys) -> None:
    drift.print_comparisons([compared()])
    head, moved, *remarks = capsys.readouterr().out.splitlines()
    assert "moved (SE)" in head and moved.split()[:3] == ["s/gap", "0.5", "0.9"] and "estimate" in moved
    assert f"{0.4 / (math.sqrt(2) * SD / math.sqrt(N)):+.1f}" in moved
    assert "changed: keras 3.15.0 → 3.16.0" in remarks
    assert remarks[-1] == "2 verdicts and estimates compared, 1 moved."


def test_the_comparison_for_scripts_has_every_line(capsys) -> None:
    drift.print_comparisons([compared(), compared([])], as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert first["moved"] == ["s/gap"] and not first["sound"] and first["redrawn"] is None
    assert [line["id"] for line in second["lines"]] == ["s/gap", "s/same"]


def test_the_comparison_is_kept_as_a_page_and_as_json(tmp_path: Path) -> None:
    page, data = drift.write([compared(["s/figure.png"])], tmp_path / "backends")[::-1]
    kept = json.loads(data.read_text())[0]
    assert kept["redrawn"] == ["s/figure.png"] and kept["compared"] == 2
    assert [line["id"] for line in kept["lines"]] == ["s/gap", "s/same"]
    text = page.read_text()
    assert "results → elsewhere" in text and "| s | holds → holds | 2 | 1 |" in text
    assert "these differ: s/figure.png" in text


def test_what_is_the_same_to_the_digit_is_not_kept() -> None:
    same = {"s": study(check(part()))}
    assert drift.between("a", same, "b", same).differing()["lines"] == []


def test_a_figure_that_comes_out_different_is_drift_though_no_number_moved() -> None:
    same = {"s": study(check(part()))}
    assert drift.between("a", same, "b", same, redrawn=[]).sound
    assert not drift.between("a", same, "b", same, redrawn=["s/figure.svg"]).sound


def test_files_that_differ_or_are_missing_are_named(tmp_path: Path) -> None:
    for side, content in (("one", b"1"), ("other", b"2")):
        for file, bytes_ in (("figure.svg", b"same"), ("figure.png", content), (f"table.{side}", b"")):
            (tmp_path / side / "s").mkdir(parents=True, exist_ok=True)
            (tmp_path / side / "s" / file).write_bytes(bytes_)
        (tmp_path / side / "s" / "verdict.json").write_bytes(content)
    found = rerun.differing(tmp_path / "one", tmp_path / "other")
    assert found == ["s/figure.png", "s/table.one", "s/table.other"]


def test_of_two_folders_the_studies_in_common_are_compared_and_the_others_named() -> None:
    made = study(check(part()))
    found = drift.of_common("a", {"s": made, "only then": made}, "b", {"s": made, "only now": made})
    assert found.sound and [line.id for line in found.lines] == ["s/gap"]
    assert found.left_out == ["only then", "only now"]
    with pytest.raises(UsageError, match="no study in common"):
        drift.of_common("a", {"s": made}, "b", {"t": made})


def test_numbers_that_moved_are_shown_with_the_digits_that_moved() -> None:
    assert drift.distinguished(0.5, 0.9) == ("0.5", "0.9")
    assert drift.distinguished(0.0018709011, 0.0018709012) == ("0.0018709011", "0.0018709012")
    assert drift.distinguished(1.0, 1.0) == ("1", "1") and drift.distinguished(None, 1.0) == ("—", "1")
