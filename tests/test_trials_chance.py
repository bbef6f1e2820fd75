"""Holm's correction and the exact tests, against enumeration and simulation."""

import itertools

import numpy as np
import pytest

from crosscheck.diagnose._by_trials import judged, undecided
from crosscheck.diagnose._chance import LEVEL, SEEDS, holm, permutation_chance, sign_chance
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose.checks import STATISTICAL


@pytest.mark.parametrize("n", [1, 5, 12])
def test_the_sign_chance_is_that_of_all_outcomes(n):
    sums = np.array([sum(signs) for signs in itertools.product((0, 1), repeat=n)])
    for hits in range(n + 1):
        assert sign_chance(hits, n) == pytest.approx(np.mean(sums >= hits), abs=1e-12)


def test_the_permutation_chance_is_at_most_what_it_says():
    """Over all places that the observed one may take among exchangeable ones."""
    rng = np.random.default_rng(0)
    chances = []
    for _ in range(4000):
        values = rng.integers(0, 30, 40)  # with ties
        chances.append(permutation_chance(values[0], values[1:]))
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(chances) <= level) <= level + 3 * np.sqrt(level / 4000)


def test_holm_steps_down():
    assert holm([0.004, 0.2, 0.006, 0.0025]) == [False, False, False, True]
    assert holm([0.001, 0.003, 0.004, 0.9], level=0.01) == [True, True, True, False]
    assert holm([]) == []


def test_holm_rejects_a_true_hypothesis_as_rarely_as_it_says():
    """Ten checks, of which three are false, and the other seven hang together as far as they can."""
    rng = np.random.default_rng(0)
    runs, level = 20_000, 0.05
    wrong = 0
    for _ in range(runs):
        shared = rng.uniform()
        true = np.where(rng.uniform(size=7) < 0.5, shared, rng.uniform(size=7))
        wrong += any(holm([*np.full(3, 1e-9), *true], level)[3:])
    assert wrong / runs <= level + 3 * np.sqrt(level / runs)


def suspicion(check: str, shown: np.ndarray, **options: object) -> Suspicion:
    return Suspicion(check, shown, Finding(check, "✗", "", "statistical"), **options)


def test_twelve_seeds_are_the_fewest_for_ten_checks_of_two_settings():
    assert len(STATISTICAL) == 10
    for seeds, decided in ((SEEDS, True), (SEEDS - 2, False)):
        (finding,) = judged([suspicion("loud", np.ones((2, seeds), bool))])
        assert (finding.verdict == "✗") is decided


def test_faults_at_half_of_all_seeds_are_found_as_rarely_as_is_said():
    """The worst case that is no fault: every check shows it under half of all seeds."""
    rng = np.random.default_rng(0)
    runs = 20_000
    alarms = 0
    for _ in range(runs):
        checks = [suspicion(str(i), rng.uniform(size=(1, SEEDS)) < 0.5) for i in range(len(STATISTICAL))]
        alarms += any(f.verdict == "✗" for f in judged(checks))
    assert alarms / runs <= LEVEL + 3 * np.sqrt(LEVEL / runs)


def test_health_at_half_of_all_seeds_is_said_as_rarely():
    rng = np.random.default_rng(0)
    runs = 20_000
    wrong = 0
    for _ in range(runs):
        checks = [suspicion(str(i), rng.uniform(size=(1, SEEDS)) < 0.5) for i in range(len(STATISTICAL))]
        wrong += any(f.verdict == "✓" for f in judged(checks))
    assert wrong / runs <= LEVEL + 3 * np.sqrt(LEVEL / runs)


def test_a_limit_keeps_a_fault_undecided():
    (finding,) = judged([suspicion("slow", np.ones((1, SEEDS), bool), limit="too short")])
    assert finding.verdict == "?" and "too short" in finding.why


def test_what_no_seed_shows_comes_without_a_fix():
    fault = Finding("learning-rate-low", "✗", "loss", "statistical", fix="learning_rate = 0.1")
    limited = Suspicion(
        "learning-rate-low", np.ones((1, 12), bool), fault, limit="it learns under some seeds"
    )
    shown = np.arange(12) < 6
    assert undecided(limited, "it learns").fix == ""
    assert undecided(Suspicion("learning-rate-low", ~np.ones((1, 12), bool), fault), "no signal").fix == ""
    assert undecided(Suspicion("learning-rate-low", shown[None], fault), "6 of 12").fix == fault.fix
