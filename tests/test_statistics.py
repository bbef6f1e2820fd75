"""The statistics under simulation: with the truth known, wrong verdicts stay under the stated rate."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crosscheck.claims import Check, Equal, Exceeds, Identity, Trend, criteria, estimates, verdicts
from crosscheck.claims.rows import tidy
from crosscheck.claims.words import Verdict

LEVEL = 0.95
STUDIES = 4000
# Three standard errors of a simulated rate of 5 %: a right procedure passes whatever the seed.
SLACK = 3 * np.sqrt(0.05 * 0.95 / STUDIES)

NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "heavy-tailed": lambda rng, shape: rng.standard_t(3, size=shape),
}


def rates(criterion, truth, noise, seeds, sd=1.0):
    """How often each verdict is reached over simulated studies."""
    rng = np.random.default_rng(20)
    values = truth + sd * NOISE[noise](rng, (STUDIES, seeds))
    reached = [criteria.judge(estimates.mean(row, LEVEL), criterion.region) for row in values]
    return {verdict: reached.count(verdict) / STUDIES for verdict in ("holds", "fails", "undecided")}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("seeds", [8, 32])
@pytest.mark.parametrize("criterion", [Equal(margin=1.0), Exceeds(margin=1.0)], ids=str)
def test_wrong_verdicts_are_rarer_than_stated_on_the_edge(criterion, seeds, noise):
    reached = rates(criterion, truth=1.0, noise=noise, seeds=seeds)
    assert reached["holds"] <= 1 - LEVEL + SLACK
    assert reached["fails"] <= 1 - LEVEL + SLACK


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(
    ("criterion", "truth", "wrong", "right"),
    [
        (Equal(margin=1.0), 0.5, "fails", "holds"),
        (Equal(margin=1.0), 1.5, "holds", "fails"),
        (Exceeds(margin=1.0), 1.5, "fails", "holds"),
        (Exceeds(margin=1.0), 0.5, "holds", "fails"),
    ],
)
def test_inside_and_outside(criterion, truth, wrong, right, noise):
    reached = rates(criterion, truth, noise, seeds=32, sd=0.5)
    assert reached[wrong] <= 1 - LEVEL + SLACK
    assert reached[right] > 0.5, "and the evidence must be able to decide"


def test_no_effect_within_noise_is_undecided_not_equal():
    """Absence of a significant difference is never evidence of equality."""
    reached = rates(Equal(margin=0.05), truth=0.0, noise="normal", seeds=8)
    assert reached["undecided"] > 0.95


def test_skewed_noise_costs_what_the_documentation_says():
    """Student's interval is not exact for skewed values: the excess at the edge is known, and bounded."""
    values = np.random.default_rng(21).exponential(size=(STUDIES, 32))  # mean 1
    reached = [criteria.judge(estimates.mean(row, LEVEL), (1.0, np.inf)) for row in values]
    assert reached.count("holds") + reached.count("fails") <= 0.09 * STUDIES


def test_a_whole_suite_of_edges_is_wrong_at_most_one_time_in_a_hundred():
    """Bonferroni over 60 intervals whose truths all lie on the edge, where they are easiest to misjudge."""
    intervals, suites, seeds = 60, 1500, 16
    level = 1 - verdicts.ERROR_RATE / intervals
    values = np.random.default_rng(22).normal(size=(suites, intervals, seeds))
    t = np.abs(values.mean(-1)) / (values.std(-1, ddof=1) / np.sqrt(seeds))
    sample = values[0, 0]
    reach = estimates.mean(sample, level).hi - sample.mean()
    assert np.isclose(reach, stats.t.ppf((1 + level) / 2, seeds - 1) * sample.std(ddof=1) / np.sqrt(seeds))
    missed = (t > stats.t.ppf((1 + level) / 2, seeds - 1)).any(axis=1)
    assert missed.mean() <= verdicts.ERROR_RATE + 3 * np.sqrt(0.01 * 0.99 / suites)


def test_trend_holds_only_when_every_step_does():
    rng = np.random.default_rng(23)
    shape = (32, 5)
    up = np.arange(5.0) + 0.1 * rng.normal(size=shape)
    bent = np.array([0, 1, 2, 1.5, 3]) + 0.1 * rng.normal(size=shape)
    flat = 0.1 * rng.normal(size=shape)
    verdict = lambda values, **kw: judged(Trend(**kw), trend_rows(values))
    assert verdict(up) == "holds"
    assert verdict(-up, increasing=False) == "holds"
    assert verdict(up, step=0.5) == "holds"
    assert verdict(up, step=1.5) == "fails"
    assert verdict(bent) == "fails"
    assert verdict(flat, step=0.2) == "fails"


def test_trend_is_wrong_at_the_edge_no_more_than_stated():
    """Four flat steps: `holds` or `fails` would be wrong with either sign of the truth next to it."""
    values = np.random.default_rng(24).normal(size=(600, 16, 5))
    reached = [judged(Trend(), trend_rows(block)) for block in values]
    slack = 3 * np.sqrt(0.05 * 0.95 / 600)
    assert reached.count("holds") / 600 <= 1 - LEVEL + slack
    assert reached.count("fails") / 600 <= 1 - LEVEL + slack


def trend_rows(values):
    seeds, steps = values.shape
    return tidy(value=values, x=np.arange(steps), seed=np.arange(seeds)[:, None])


def judged(criterion, rows):
    return criteria.judge(criterion.estimate(rows, LEVEL), criterion.region)


def test_rows_are_paired_by_seed_and_each_seed_counts_once():
    rng = np.random.default_rng(25)
    base = rng.normal(scale=100, size=16)  # seeds differ wildly, differences do not
    rows = tidy(value=base + 1, reference=base, seed=np.arange(16))
    doubled = pd.concat([rows, rows[rows["seed"] < 8]])
    one, two = (Exceeds(0.5).estimate(r, LEVEL) for r in (rows, doubled))
    assert one.value == pytest.approx(1) and one.sd == pytest.approx(0, abs=1e-9)
    assert two.n == one.n == 16


def test_identity_takes_the_worst_row_and_refuses_nan():
    rows = tidy(value=[1.0, 1.0 + 3e-16], reference=1.0, resolution=2e-16)
    assert judged(Identity(ulps=4), rows) == "holds"
    assert judged(Identity(ulps=1), rows) == "fails"
    assert judged(Identity(ulps=4), tidy(value=[1.0, np.nan], reference=1.0, resolution=1e-16)) == "fails"


@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan], [1.0, np.inf]])
def test_too_little_to_go_by_is_undecided(values):
    with np.errstate(invalid="ignore"):
        assert criteria.judge(estimates.mean(np.array(values), LEVEL), (0, np.inf)) == "undecided"


def test_detectable_effect_is_found_as_often_as_stated():
    rng = np.random.default_rng(26)
    detectable = np.mean([estimates.mean(rng.normal(size=16), LEVEL).detectable for _ in range(500)])
    detected = [estimates.mean(rng.normal(detectable, size=16), LEVEL).lo > 0 for _ in range(2000)]
    assert np.mean(detected) == pytest.approx(estimates.POWER, abs=0.05)


def test_seeds_needed_would_decide():
    spread = np.array([-1.0, 1.0])
    few = estimates.mean(1.3 + np.tile(spread, 4), LEVEL)
    assert criteria.judge(few, (1.0, np.inf)) == "undecided"
    need = estimates.seeds_needed(few, 1.0, np.inf)
    many = estimates.mean(1.3 + np.tile(spread, need), LEVEL)
    assert criteria.judge(many, (1.0, np.inf)) == "holds"


# --- verdicts on checks and studies -----------------------------------------------------------------

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
