"""The statistics under simulation: with the truth known, wrong verdicts stay under the stated rate."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crosscheck.claims import Check, Equal, Exceeds, Identity, Trend, criteria, estimates, register, verdicts
from crosscheck.claims.rows import tidy

LEVEL = 0.95
IN_USE = verdicts.interval_level([register.load(name) for name in register.NAMES])
STUDIES = 4000
# Three standard errors of a simulated rate of 5 %: a right procedure passes whatever the seed.
SLACK = 3 * np.sqrt(0.05 * 0.95 / STUDIES)

# Six kinds of noise, each with median 0.
NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "lognormal": lambda rng, shape: rng.lognormal(size=shape) - 1,
    "exponential": lambda rng, shape: rng.exponential(size=shape) - np.log(2),
    "heavy-tailed": lambda rng, shape: rng.standard_t(2, size=shape),
    "Bernoulli": lambda rng, shape: rng.integers(0, 2, size=shape) - 0.5,  # every value between is a median
}
SEEDS_IN_USE = (16, 24, 32, 40, 64, 128)


# --- the median over seeds ----------------------------------------------------------------------------------


def rates(criterion, truth, noise, seeds, sd=1.0):
    """How often each verdict is reached over simulated studies."""
    rng = np.random.default_rng(20)
    values = truth + sd * NOISE[noise](rng, (STUDIES, seeds))
    reached = [criteria.judge(estimates.median(row, LEVEL), criterion.region) for row in values]
    return {verdict: reached.count(verdict) / STUDIES for verdict in ("holds", "fails", "undecided")}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("criterion", [Equal(margin=1.0), Exceeds(margin=1.0)], ids=str)
def test_wrong_verdicts_are_rarer_than_stated_on_the_edge(criterion, noise):
    reached = rates(criterion, truth=1.0, noise=noise, seeds=12)
    assert reached["holds"] <= 1 - LEVEL + SLACK
    assert reached["fails"] <= 1 - LEVEL + SLACK


def wrong_ends(noise: str, seeds: int, draws: int) -> int:
    """How often an end of the interval at the level in use lies beyond the truth, over simulated studies."""
    rng, rank = np.random.default_rng(21), estimates.order(seeds, IN_USE)
    assert rank > 0, "a number of seeds in use has to decide"
    wrong = 0
    for _ in range(0, draws, 50_000):
        values = np.partition(NOISE[noise](rng, (50_000, seeds)), (rank - 1, seeds - rank), axis=1)
        wrong += int((values[:, rank - 1] > 0).sum() + (values[:, seeds - rank] < 0).sum())
    return wrong


def is_rare(wrong: int, draws: int) -> bool:
    """Whether so many are what the stated rate makes likely: both ends of an interval together."""
    return bool(stats.poisson.sf(wrong - 1, draws * (1 - IN_USE)) > 1e-4)


@pytest.mark.parametrize("noise", NOISE)
def test_at_the_level_in_use_ends_lie_beyond_the_truth_no_more_often_than_stated(noise):
    """Half a million draws see a rate of 3 in 100,000; Student's interval would be seen at once (below)."""
    assert is_rare(wrong_ends(noise, seeds=16, draws=500_000), 500_000)


@pytest.mark.long
@pytest.mark.parametrize("seeds", SEEDS_IN_USE)
@pytest.mark.parametrize("noise", NOISE)
def test_the_same_for_every_number_of_seeds_in_use(noise, seeds):
    assert is_rare(wrong_ends(noise, seeds, draws=2_000_000), 2_000_000)


def test_the_simulation_would_see_an_interval_that_misses_ten_times_as_often():
    """Student's t, as it was used: exponential noise, 32 seeds, at the same level."""
    values = np.random.default_rng(22).exponential(size=(200_000, 32))
    off = (values.mean(1) - 1) / (values.std(1, ddof=1) / np.sqrt(32))
    wrong = int((np.abs(off) > stats.t.ppf((1 + IN_USE) / 2, 31)).sum())
    assert not is_rare(wrong, 200_000)


@pytest.mark.parametrize("seeds", SEEDS_IN_USE)
def test_the_rank_is_the_greatest_that_keeps_the_level(seeds):
    rank = estimates.order(seeds, IN_USE)
    tail = (1 - IN_USE) / 2
    assert stats.binom.cdf(rank - 1, seeds, 0.5) <= tail < stats.binom.cdf(rank, seeds, 0.5)


def test_sixteen_seeds_decide_and_fifteen_do_not():
    agreeing = lambda n: criteria.judge(estimates.median(np.full(n, 1.0), IN_USE), (0.5, np.inf))
    assert agreeing(16) == "holds" and agreeing(15) == "undecided" and agreeing(2) == "undecided"


@pytest.mark.parametrize("noise", ["normal", "uniform", "exponential", "heavy-tailed"])
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


# --- means, groups and shares -------------------------------------------------------------------------------

BOUNDED = {
    "one in twenty": (0.05, lambda rng, shape: (rng.random(shape) < 0.05).astype(float)),
    "uniform": (0.5, lambda rng, shape: rng.random(shape)),
    "skewed": (1 / 11, lambda rng, shape: rng.beta(0.5, 5, shape)),
    "one run in twenty collapses": (0.95, lambda rng, shape: (rng.random(shape) > 0.05).astype(float)),
}


@pytest.mark.parametrize("noise", BOUNDED)
def test_betting_against_the_true_mean_makes_nobody_rich(noise):
    """The gambler's fortune on either side has mean 1 at most: so it passes 2/α with probability α/2."""
    truth, draw = BOUNDED[noise]
    samples = draw(np.random.default_rng(23), (3000, 64))
    for level in (LEVEL, IN_USE):
        fortunes = [estimates.capital(x, np.array([truth]), level)[0] * 2 / (1 - level) for x in samples]
        passed = np.mean(np.array(fortunes) >= 2 / (1 - level))
        assert passed <= (1 - level) + 3 * np.sqrt((1 - level) / 3000)


@pytest.mark.parametrize("chance", [0.05, 0.5, 0.9])
def test_a_fair_bet_keeps_its_stake_exactly(chance):
    """Over all 1,024 outcomes of ten draws: with the true mean, either side's expected fortune is 1."""
    outcomes = np.array(list(itertools.product([0.0, 1.0], repeat=10)))
    weight = np.prod(np.where(outcomes == 1, chance, 1 - chance), axis=1)
    either = np.exp([estimates.fortunes(x, np.array([chance]), LEVEL)[:, 0] for x in outcomes])
    np.testing.assert_allclose(weight @ either, [1.0, 1.0], rtol=1e-10)


def test_a_bounded_mean_is_found_and_an_unbounded_one_never():
    sample = np.random.default_rng(24).uniform(0, 1, 400)
    bounded = estimates.mean(sample, LEVEL, (0, 1))
    assert bounded.lo < 0.5 < bounded.hi and bounded.hi - bounded.lo < 0.15
    scaled = estimates.mean(10 * sample - 5, LEVEL, (-5, 5))
    assert scaled.lo == pytest.approx(10 * bounded.lo - 5) and scaled.hi == pytest.approx(10 * bounded.hi - 5)
    assert np.isinf(estimates.mean(sample, LEVEL).hi)
    with pytest.raises(ValueError, match="lie outside"):
        estimates.mean(sample, LEVEL, (0, 0.5))


def test_a_mean_through_groups_is_wrong_at_most_twice_as_often_as_stated():
    """Sixteen groups of 64 exponential values: the median of their means is all but the mean."""
    groups = np.random.default_rng(25).gamma(64, 1 / 64, (2_000_000, 16))
    wrong = int((groups.min(1) > 1).sum() + (groups.max(1) < 1).sum())
    assert stats.poisson.sf(wrong - 1, 2 * 2_000_000 * (1 - IN_USE)) > 1e-4


def test_groups_are_formed_and_what_is_left_over_is_left_out():
    rows = tidy(value=np.arange(13.0), seed=np.arange(13))
    estimate = Equal(1.0, group=2).estimate(rows, LEVEL)
    assert (estimate.n, estimate.lo, estimate.hi) == (6, 0.5, 10.5)


def test_a_rare_error_that_was_not_seen_is_not_taken_for_none():
    """24 seeds, each wrong in 0 of 100: what may hide there is counted in."""
    rows = tidy(value=0.0, seed=np.arange(24), trials=100.0)
    seen = Equal(0.0005).estimate(rows, IN_USE)
    assert seen.lo == 0 and seen.hi > 0.05
    assert criteria.judge(seen, Equal(0.0005).region) == "undecided"
    assert criteria.judge(seen, Equal(0.2).region) == "holds"


def test_shares_keep_the_level():
    """Shares of 50 with a true 4 %, judged on the edge of a margin."""
    rng = np.random.default_rng(26)
    wrong = 0
    for _ in range(300):
        rows = tidy(value=rng.binomial(50, 0.04, 16) / 50, seed=np.arange(16), trials=50.0)
        wrong += judged(Exceeds(0.04), rows) == "holds" or judged(Exceeds(0.0399), rows) == "fails"
    assert wrong / 300 <= 1 - LEVEL + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_exact_bounds_of_a_share_are_those_of_scipy():
    hits, trials = np.array([0, 1, 7, 50]), np.full(4, 50.0)
    lower, upper = estimates.share(hits / trials, trials, 0.01)
    for k, lo, hi in zip(hits, lower, upper, strict=True):
        referee = stats.binomtest(int(k), 50).proportion_ci(0.98, method="exact")
        assert (lo, hi) == pytest.approx((referee.low, referee.high))


# --- the suite as a whole -----------------------------------------------------------------------------------


def test_every_way_to_be_wrong_has_its_share_of_the_error_rate():
    """At the edge, `Equal` can fail wrongly at either end, `Exceeds` at one; exact checks cannot."""
    equal = Check("a", "s", Equal(1.0), "0", control="c", settings=("x", "y"))
    study = SimpleNamespace(
        CHECKS=(
            equal,
            dataclasses.replace(equal, criterion=Exceeds(1.0)),
            dataclasses.replace(equal, exact=True),
        )
    )
    assert verdicts.tail_count([study]) == 4 + 2
    assert verdicts.interval_level([study]) == pytest.approx(1 - 2 * 0.01 / 6)
    assert verdicts.interval_level([study], "smoke") == verdicts.SMOKE_LEVEL


def test_a_whole_suite_of_edges_is_wrong_at_most_one_time_in_a_hundred():
    """Sixty checks of every noise whose truths all lie on the edge, where they are easiest to misjudge."""
    checks, suites, seeds = 60, 3000, 16
    level, rng = 1 - 2 * verdicts.ERROR_RATE / checks, np.random.default_rng(27)
    rank = estimates.order(seeds, level)
    kinds = [NOISE[noise](rng, (suites, checks // 6, seeds)) for noise in NOISE]
    values = np.sort(np.concatenate(kinds, axis=1), axis=-1)
    wrong = (values[..., rank - 1] > 0).any(axis=1)  # `Exceeds` taken to hold
    assert wrong.mean() <= verdicts.ERROR_RATE + 3 * np.sqrt(0.01 * 0.99 / suites)


def test_looking_again_at_fresh_seeds_costs_the_stated_rate_each_time():
    """Whoever follows the advice, twice, has three chances to be wrong, and no more than three."""
    rng, wrong, studies, alpha = np.random.default_rng(28), 0, 3000, 0.05
    for _ in range(studies):
        n = 16
        for _ in range(3):
            seen = estimates.median(rng.exponential(size=n) - np.log(2), 1 - alpha)
            if criteria.judge(seen, (0.0, np.inf)) != "undecided":
                wrong += 1
                break
            n = min(max(estimates.seeds_needed(seen, 0.0, np.inf) or 4 * n, n + 1), 8 * n)
    assert wrong / studies <= 3 * alpha + 3 * np.sqrt(0.15 * 0.85 / studies)


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
    values = np.random.default_rng(29).exponential(size=(200, 16, 5))
    reached = [judged(Trend(), trend_rows(block)) for block in values]
    slack = 3 * np.sqrt(0.05 * 0.95 / 200)
    assert reached.count("holds") / 200 <= 1 - LEVEL + slack
    assert reached.count("fails") / 200 <= 1 - LEVEL + slack


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


@pytest.mark.parametrize("values", [[1.0], [1.0] * 9 + [np.nan], [1.0] * 9 + [np.inf]])
def test_too_little_to_go_by_is_undecided(values):
    with np.errstate(invalid="ignore"):
        assert criteria.judge(estimates.median(np.array(values), LEVEL), (0, np.inf)) == "undecided"


def test_detectable_effect_is_found_about_as_often_as_stated():
    rng = np.random.default_rng(30)
    detectable = np.mean([estimates.median(rng.normal(size=32), LEVEL).detectable for _ in range(500)])
    detected = [estimates.median(rng.normal(detectable, size=32), LEVEL).lo > 0 for _ in range(2000)]
    assert np.mean(detected) == pytest.approx(estimates.POWER, abs=0.07)


def test_seeds_needed_would_decide():
    spread = np.linspace(-1, 1, 9)
    few = estimates.median(1.3 + spread, LEVEL)
    assert criteria.judge(few, (1.0, np.inf)) == "undecided"
    need = estimates.seeds_needed(few, 1.0, np.inf)
    many = estimates.median(1.3 + np.tile(spread, need // 9 + 1), LEVEL)
    assert criteria.judge(many, (1.0, np.inf)) == "holds"
