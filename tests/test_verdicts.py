"""From rows to verdicts: settings, controls, what stands beside a verdict, and a study out of its checks."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from msgspec import UNSET

from crosscheck.claims import Check, Equal, Exceeds, Identity, criteria, verdicts
from crosscheck.claims.rows import tidy
from crosscheck.claims.words import Verdict
from crosscheck.report import summary

LEVEL = 0.95

CHECK = Check("c", "statement", Equal(margin=0.5), "0", control="shifted by one", settings=("a", "b"))


def check_rows(shift_a=0.0, shift_b=0.0, control=1.0, settings=("a", "b")):
    noise = 0.05 * np.random.default_rng(28).normal(size=16)
    shifts = {"a": shift_a, "b": shift_b}
    return pd.concat(
        tidy(check="c", arm=arm, setting=s, seed=np.arange(16), value=noise + shift)
        for s in settings
        for arm, shift in (("claim", shifts[s]), ("control", control))
    )


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (check_rows(), "holds"),
        (check_rows(shift_b=1.0), "fails"),
        (check_rows(shift_b=0.5), "undecided"),
        (check_rows(control=0.0), "invalid"),
        (check_rows(shift_b=1.0, control=0.0), "invalid"),
        (check_rows(settings=("a",)), "undecided"),
        (check_rows().iloc[:0], "undecided"),
    ],
)
def test_check_verdicts(rows, verdict):
    judged_check = verdicts.judge_check(CHECK, rows, LEVEL)
    assert judged_check.verdict == verdict
    assert bool(judged_check.reason) == (verdict in ("undecided", "invalid"))


def test_a_setting_whose_data_are_absent_is_left_out_and_named():
    judged_check = verdicts.judge_check(CHECK, check_rows(settings=("a",)), LEVEL, absent={"b"})
    assert judged_check.verdict == "holds"
    assert judged_check.absent == ["b"]
    assert verdicts.judge_check(CHECK, check_rows().iloc[:0], LEVEL, absent={"a", "b"}).verdict == "undecided"


def test_the_study_is_as_good_as_its_worst_check_but_scope_only_narrows():
    check = lambda kind, verdict: SimpleNamespace(kind=kind, verdict=Verdict(verdict))
    for one, two in itertools.permutations([check("equal", "holds"), check("scope", "fails")]):
        assert verdicts.combine([one, two]) == "scoped"
    assert verdicts.combine([check("equal", "fails"), check("scope", "fails")]) == "fails"
    assert verdicts.combine([check("equal", "undecided"), check("scope", "fails")]) == "undecided"
    assert verdicts.combine([check("scope", "invalid"), check("equal", "fails")]) == "invalid"
    assert verdicts.combine([check("equal", "holds")]) == "holds"


def test_a_statistical_check_without_seeds_is_refused():
    rows = tidy(check="c", setting="a", value=0.0)
    with pytest.raises(ValueError, match="no seeds"):
        verdicts.judge_check(CHECK, rows, LEVEL)


def test_on_several_paths_every_control_must_fail():
    check = Check("p", "s", Identity(ulps=4), "0", control="c", exact=True, scope=True)
    claim = tidy(check="p", path=["ok", "bad"], value=[0.0, 1.0], resolution=1e-7)
    control = tidy(check="p", arm="control", path=["ok", "bad"], value=[0.0, 1.0], resolution=1e-7)
    both_fail = control.assign(value=1.0)
    assert verdicts.judge_check(check, pd.concat([claim, control]), LEVEL).verdict == "invalid"
    judged_check = verdicts.judge_check(check, pd.concat([claim, both_fail]), LEVEL)
    assert judged_check.verdict == "fails"
    assert judged_check.scope == {"ok": "holds", "bad": "fails"}


@pytest.mark.parametrize("bad", [-0.5, np.nan])
def test_where_nothing_is_random_every_row_must_do(bad: float) -> None:
    """The mean of the four would hold."""
    exceeding = tidy(check="a", value=[1.0, 1.0, 1.0, bad])
    assert criteria.judge(Exceeds(0.0).estimate(exceeding, LEVEL), Exceeds(0.0).region) != "holds"
    equal = tidy(check="a", value=[0.05, -0.05, 0.2, bad], reference=0.0)
    assert criteria.judge(Equal(0.1).estimate(equal, LEVEL), Equal(0.1).region) != "holds"
    fine = tidy(check="a", value=[0.05, 0.01])
    assert criteria.judge(Equal(0.1).estimate(fine, LEVEL), Equal(0.1).region) == "holds"


def test_a_check_of_another_scale_is_named_as_not_run_and_does_not_count() -> None:
    later = dataclasses.replace(CHECK, id="later", scales=("full",))
    study = SimpleNamespace(CHECKS=(CHECK, later))
    rows = check_rows()
    small = verdicts.judge_study(study, rows, LEVEL, scale="standard")
    first, second = small.checks
    assert small.verdict == first.verdict != "undecided"
    assert second.verdict == "undecided" and second.unrun and not second.parts and not second.absent
    assert second.reason == "not run at the standard scale, only at: full"
    whole = verdicts.judge_study(study, rows, LEVEL, scale="full")
    assert whole.verdict == "undecided" and "rows are missing" in whole.checks[1].reason


# --- controls, and what stands beside a verdict ---------------------------------------------------------

TWO = dataclasses.replace(CHECK, positive="no shift at all", population="these data sets")


def with_positive(rows, shift):
    noise = 0.05 * np.random.default_rng(31).normal(size=16)
    return pd.concat(
        [rows, tidy(check="c", arm="positive", setting="a", seed=np.arange(16), value=noise + shift)]
    )


@pytest.mark.parametrize(
    ("claim", "positive", "verdict"),
    [
        (1.0, 0.0, "fails"),
        (1.0, 1.0, "invalid"),  # it would fail whatever it is given
        (1.0, 0.5, "invalid"),  # and may do so here
        (0.0, 0.0, "holds"),
        (0.0, 0.5, "holds"),
        (0.0, 1.0, "invalid"),
        (0.5, 0.5, "undecided"),
    ],
)
def test_a_failure_counts_only_where_the_positive_control_held(claim, positive, verdict):
    record = verdicts.judge_check(TWO, with_positive(check_rows(shift_b=claim), positive), LEVEL)
    assert record.verdict == verdict
    assert ("that must hold did not" in record.reason) == (verdict == "invalid")


def test_a_positive_control_that_is_promised_and_missing_leaves_the_check_undecided():
    record = verdicts.judge_check(TWO, check_rows(shift_b=1.0), LEVEL)
    assert record.verdict == "undecided" and "rows are missing" in record.reason


def test_the_rows_of_a_seed_count_as_one_wherever_they_stand() -> None:
    values, seeds = pd.Series([1.0, 2.0, 3.0, 6.0]), pd.Series([7, 3, 7, 3])
    np.testing.assert_array_equal(criteria.mean_by(values, seeds), [4.0, 2.0])
    values[1] = np.nan
    np.testing.assert_array_equal(criteria.mean_by(values, seeds), [np.nan, 2.0])


def test_a_share_of_none_of_many_keeps_its_bounds() -> None:
    seen = {"setting": "a", "seed": range(20)}
    shares = {
        arm: tidy(arm=arm, value=float(arm == "control"), trials=50, **seen) for arm in ("claim", "control")
    }
    judged = verdicts.judge_check(
        Check("rare", "It is rare.", Equal(0.2), "0", "always", settings=("a",)), pd.concat(shares), 0.999
    )
    assert judged.interval[0] == 0 < 0.05 < judged.interval[1]


def test_clearance_is_counted_in_half_widths():
    record = verdicts.judge_check(CHECK, check_rows(shift_a=0.3), LEVEL)
    part = record.parts[0]
    half = (part.interval[1] - part.interval[0]) / 2
    assert part.clearance == pytest.approx((0.5 - part.estimate) / half)


@pytest.mark.parametrize(("error", "verdict"), [(0.01, "holds"), (0.5, "undecided")])
def test_the_noise_of_examples_stands_beside_the_verdict(error, verdict):
    rows = with_positive(check_rows(), 0.0).assign(resolution=error)
    record = verdicts.judge_check(TWO, rows, LEVEL)
    assert record.verdict == "holds", "seeds alone decide"
    part = record.parts[0]
    assert part.two_way_verdict == verdict
    assert part.two_way[0] < part.interval[0] and part.interval[1] < part.two_way[1]
    said = " ".join(summary.notes(record))
    assert ("on other examples of the kind it would be undecided at a" in said) == (verdict == "undecided")
    fresh = verdicts.judge_check(dataclasses.replace(TWO, population="generator"), rows, LEVEL)
    assert fresh.parts[0].two_way_verdict is UNSET, "fresh data every seed: the noise is in the spread"


def test_a_verdict_close_to_its_margin_is_called_narrow():
    near = verdicts.judge_check(CHECK, check_rows(shift_a=0.46), LEVEL)
    assert any(note.startswith("narrow: ") and note.endswith("at a") for note in summary.notes(near))
    clear = verdicts.judge_check(CHECK, check_rows(), LEVEL)
    assert not any(note.startswith("narrow") for note in summary.notes(clear))
