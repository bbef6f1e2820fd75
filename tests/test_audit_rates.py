"""Random sound losses raise no alarm, random broken ones do, and the rates are told with exact intervals."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audited import without_xla
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.audit_rates import measure
from benchmarks.audit_rates.__main__ import main
from benchmarks.audit_rates.catalogue import ALL, CATALOGUE, broken
from benchmarks.audit_rates.choices import NumpyChoices, RandomLoss
from benchmarks.audit_rates.measure import CHECKS_RUN, Trial, rate, run_trial, summary, to_markdown
from benchmarks.audit_rates.sound import CHANGES, CLASS_FORMS, LABEL_FORMS, sound
from crosscheck.audit.scorecard import CHECKS

SLOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class HypothesisChoices:
    """Choices by hypothesis."""

    data: Any

    def one_of(self, options: Sequence[Any]) -> Any:
        return self.data.draw(st.sampled_from(list(options)))

    def number(self, low: float, high: float) -> float:
        return round(self.data.draw(st.floats(low, high)), 3)


def audited(loss: RandomLoss, claim_told: bool) -> Trial:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_trial(loss, claim_told)


@SLOW
@given(st.data())
def test_a_random_sound_loss_raises_no_alarm(data: st.DataObject) -> None:
    trial = audited(sound(HypothesisChoices(data)), claim_told=True)
    assert not trial.failed, trial


@SLOW
@given(st.data())
def test_a_random_broken_loss_is_failed_by_the_check_named_for_its_fault(data: st.DataObject) -> None:
    with without_xla():
        trial = audited(broken(HypothesisChoices(data)), claim_told=True)
    assert trial.check in trial.failed, trial


def test_the_catalogue_names_checks_that_there_are_and_every_form_is_reached() -> None:
    choices = NumpyChoices(np.random.default_rng(0))
    broken_losses = [broken(choices) for _ in range(600)]
    assert {loss.check for loss in broken_losses} <= {check.id for check in CHECKS_RUN}
    assert len({loss.fault for loss in broken_losses}) == len(CATALOGUE)
    assert {loss.kind for loss in broken_losses} == set(ALL)
    recipes = " ".join(sound(choices).about for _ in range(400))
    assert all(form in recipes for form in (*CLASS_FORMS, *LABEL_FORMS))
    assert all(word in recipes for word in ("temperature", "smoothed", "Brier", "weights", "order"))
    assert len(CHANGES) == 6


def test_the_same_seed_draws_the_same_losses() -> None:
    sources = [NumpyChoices(np.random.default_rng(3)) for _ in range(2)]
    one, other = ([broken(choices).about for _ in range(20)] for choices in sources)
    assert one == other


def test_cost_is_the_one_check_left_out_for_it_never_fails() -> None:
    assert {check.id for check in CHECKS} - {check.id for check in CHECKS_RUN} == {"cost"}


@pytest.mark.parametrize(("wrong", "of", "low", "high"), [(0, 100, 0, 1 - 0.025**0.01), (1, 1, 0.025, 1)])
def test_the_interval_is_exact(wrong: int, of: int, low: float, high: float) -> None:
    assert rate(wrong, of)["interval"] == pytest.approx([low, high], rel=1e-6)


def test_alarms_and_misses_are_told_apart() -> None:
    trials = [
        Trial("a", True, "", "", ()),
        Trial("b", True, "", "", ("centre",)),
        Trial("c", True, "factor", "centre", ("shift",)),
        Trial("d", True, "factor", "centre", ()),
        Trial("e", False, "", "", ()),
        Trial("f", False, "factor", "centre", ("centre",)),
    ]
    rates = summary(trials)["rates"]["claim told"]
    assert (rates["false alarms"]["wrong"], rates["misses"]["wrong"]) == (1, 1)
    assert rates["misses by the named check"]["wrong"] == 2
    assert summary(trials)["faults"]["factor"] == {
        "check": "centre",
        "of": 3,
        "missed": 1,
        "missed by the named check": 2,
    }
    assert "| claim told | misses | 1 of 2 | 50.0% |" in to_markdown(trials)
    assert "- false alarm, told: b: centre" in to_markdown(trials)


def test_the_command_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [
        Trial("a", told, fault, fault and "centre", ("centre",) if fault else ())
        for told in (True, False)
        for fault in ("", "x")
    ]
    monkeypatch.setattr(measure, "run_trials", lambda count, report, write: trials)
    ran = CliRunner().invoke(main, ["4", "--out", str(tmp_path)])
    assert ran.exit_code == 0
    assert json.loads((tmp_path / "rates.json").read_text())["rates"]["claim told"]["misses"]["of"] == 1
    assert "Clopper and Pearson" in (tmp_path / "rates.md").read_text()


def test_what_there_is_is_written_as_the_trials_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "run_trial", lambda loss, told: Trial(loss.about, told, loss.fault, "", ()))
    written: list[int] = []
    trials = measure.run_trials(30, lambda line: None, write=lambda some: written.append(len(some)))
    assert written == [12, 24]
    fewer = measure.run_trials(12, lambda line: None)
    assert [trial.about for trial in trials[:12]] == [trial.about for trial in fewer]
    assert all(trial.seconds >= 0 for trial in trials)


def test_the_command_ends_with_1_where_the_audit_was_wrong_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        measure, "sound", lambda choices: RandomLoss("a sound one", list, "binary", None, True)
    )
    monkeypatch.setattr(
        measure, "broken", lambda choices: RandomLoss("b", list, "binary", None, True, "f", "c")
    )
    monkeypatch.setattr(
        measure,
        "run_trial",
        lambda loss, claim_told: Trial(loss.about, claim_told, loss.fault, "", ("centre",)),
    )
    monkeypatch.setattr(measure, "formed", lambda choices, loss: loss)
    ran = CliRunner().invoke(main, ["4", "--out", str(tmp_path)])
    assert ran.exit_code == 1
    assert ran.output.splitlines() == ["false alarm: a sound one ('centre',)"] * 2


@pytest.mark.parametrize("count", ["3", "many"])
def test_a_number_of_losses_that_is_none_is_refused(count: str) -> None:
    ran = CliRunner().invoke(main, [count])
    assert ran.exit_code == 2 and "Invalid value for 'N'" in ran.output
