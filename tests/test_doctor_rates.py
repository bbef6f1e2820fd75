"""Random models are judged as their own training says, and the rates are told with exact intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.doctor_rates import mathematics as exact
from benchmarks.doctor_rates import measure
from benchmarks.doctor_rates.__main__ import main
from benchmarks.doctor_rates.measure import Trial, rate, run_trial, summary, to_markdown
from benchmarks.doctor_rates.random_models import random_recipe


@pytest.fixture(autouse=True)
def policy_restored() -> Iterator[None]:
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize("i", [*range(6), *(pytest.param(i, marks=pytest.mark.long) for i in range(6, 60))])
def test_a_random_model_is_judged_as_its_own_training_says(i: int) -> None:
    trial = run_trial(np.random.default_rng([1, i]))
    assert trial.code == int(trial.broken), trial


def test_the_mathematics_are_those_of_the_textbook() -> None:
    z, y = np.array([0.3, -1.2, 2.0]), np.array([0.0, 1.0, 0.0])
    p = np.exp(z) / np.exp(z).sum()
    log_p, log_q = exact.of_softmax(z)
    np.testing.assert_allclose([np.exp(log_p), np.exp(log_q)], [p, 1 - p])
    assert exact.class_crossentropy(y, log_p, log_q) == pytest.approx(-np.log(p[1]))
    assert exact.class_focal(y, log_p, log_q, 2.0, 0.25) == pytest.approx(
        -0.25 * (1 - p[1]) ** 2 * np.log(p[1])
    )
    sigmoid = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(np.exp(exact.of_sigmoid(z)), [sigmoid, 1 - sigmoid])
    slope = exact.derivative(
        lambda t: exact.class_crossentropy(y, *exact.of_softmax(np.array([t, *z[1:]]))), z[0]
    )
    assert slope == pytest.approx(p[0], abs=1e-8)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda g: 0.3 * g, False),
        (lambda g: np.where(np.abs(np.arange(len(g))) > 6, 0 * g, g), True),
        (lambda g: g * np.linspace(1, 2, len(g)), True),
        (lambda g: g * np.nan, True),
        (lambda g: 0 * g, True),
    ],
)
def test_a_gradient_is_lost_unless_it_is_the_exact_one_times_a_factor(change, lost: bool) -> None:
    z = np.array([0.5, 1, 2, 5, 10, 17, 30, 88])
    gradient = 1 / (1 + np.exp(-z))
    assert exact.is_lost(change(gradient), gradient, z, np.zeros(len(z))) == lost


def test_every_part_of_the_recipes_is_reached() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.config, "set_dtype_policy", lambda policy: None)
        recipes = [random_recipe(np.random.default_rng([2, i])) for i in range(300)]
    words = " ".join(map(str, recipes))
    heads = ("Conv1D", "Conv2D", "timed", "masked", "pooled", "rows", "average", "EinsumDense", "regularised")
    losses = ("sparse", "categorical", "focal", "own function", "ignoring", "ours", "divergence", "mse")
    wrappers = ("nested", "subclassed", "own step", "capping step")
    assert all(word in words for word in (*heads, *losses, *wrappers, "fault: relu", "soft cap", "clip of p"))


@pytest.mark.parametrize(("count", "of", "low", "high"), [(0, 100, 0, 1 - 0.025**0.01), (1, 1, 0.025, 1)])
def test_the_interval_is_exact(count: int, of: int, low: float, high: float) -> None:
    assert rate(count, of)["interval"] == pytest.approx([low, high], rel=1e-6)


TRIALS = [
    Trial("a", False, 0, "fine", 1.0),
    Trial("b", False, 1, "lost", 1.0),
    Trial("c", True, 0, "fine", 1.0),
    Trial("d", True, 1, "lost", 3.0),
    Trial("e", True, 2, "Cannot: look", 1.0),
]


def test_alarms_all_clears_and_refusals_are_told_apart() -> None:
    rates = summary(TRIALS)["rates"]
    assert [(r["count"], r["of"]) for r in rates.values()] == [(1, 2), (1, 3), (1, 5)]
    text = to_markdown(TRIALS)
    assert "| refusals | 1 of 5 | 20.0% |" in text and "Refusals: Cannot (1)." in text
    assert "- false alarm: b: lost" in text and "- false all-clear: c: fine" in text


@pytest.mark.parametrize(("trials", "code"), [(TRIALS, 1), (TRIALS[3:], 0)])
def test_the_command_writes_both_files_and_ends_with_1_where_the_doctor_was_wrong(
    trials: list[Trial], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "run_trials", lambda count, report, write: trials)
    ran = CliRunner().invoke(main, ["5", "--out", str(tmp_path)])
    assert ran.exit_code == code
    assert json.loads((tmp_path / "rates.json").read_text())["models"] == len(trials)
    assert "Clopper and Pearson" in (tmp_path / "rates.md").read_text()
