"""Random sound losses raise no alarm, random broken ones do, and the rates are told with exact intervals."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.audit_rates import measure
from benchmarks.audit_rates.catalogue import ALL, CATALOGUE, broken
from benchmarks.audit_rates.draws import Made, Random
from benchmarks.audit_rates.measure import ASKED, Trial, rate, summary, to_markdown, trial
from benchmarks.audit_rates.sound import CHANGES, CLASS_FORMS, LABEL_FORMS, sound
from crosscheck.audit.scorecard import CHECKS
from crosscheck.cli.main import cli

SLOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Drawn:
    """Choices by hypothesis."""

    data: Any

    def among(self, options: Sequence[Any]) -> Any:
        return self.data.draw(st.sampled_from(list(options)))

    def number(self, low: float, high: float) -> float:
        return round(self.data.draw(st.floats(low, high)), 3)


def tried(made: Made, told: bool) -> Trial:
    with contextlib.redirect_stdout(io.StringIO()):
        return trial(made, told)


@SLOW
@given(st.data())
def test_a_random_sound_loss_raises_no_alarm(data: st.DataObject) -> None:
    found = tried(sound(Drawn(data)), told=True)
    assert not found.failed, found


@SLOW
@given(st.data())
def test_a_random_broken_loss_is_failed_by_the_check_named_for_its_fault(data: st.DataObject) -> None:
    found = tried(broken(Drawn(data)), told=True)
    assert found.check in found.failed, found


def test_the_catalogue_names_checks_that_there_are_and_every_form_is_reached() -> None:
    draw = Random(np.random.default_rng(0))
    made = [broken(draw) for _ in range(600)]
    assert {each.check for each in made} <= {check.id for check in ASKED}
    assert len({each.fault for each in made}) == len(CATALOGUE)
    assert {each.kind for each in made} == set(ALL)
    told = " ".join(sound(draw).about for _ in range(400))
    assert all(form in told for form in (*CLASS_FORMS, *LABEL_FORMS))
    assert all(word in told for word in ("temperature", "smoothed", "Brier", "weights", "order"))
    assert len(CHANGES) == 6


def test_the_same_seed_draws_the_same_losses() -> None:
    draws = [Random(np.random.default_rng(3)) for _ in range(2)]
    one, other = ([broken(draw).about for _ in range(20)] for draw in draws)
    assert one == other


def test_cost_is_the_one_check_left_out_for_it_never_fails() -> None:
    assert {check.id for check in CHECKS} - {check.id for check in ASKED} == {"cost"}


@pytest.mark.parametrize(("wrong", "of", "low", "high"), [(0, 100, 0, 1 - 0.025**0.01), (1, 1, 0.025, 1)])
def test_the_interval_is_exact(wrong: int, of: int, low: float, high: float) -> None:
    assert rate(wrong, of)["interval"] == pytest.approx([low, high], rel=1e-6)


def test_alarms_and_misses_are_told_apart() -> None:
    found = [
        Trial("a", True, "", "", ()),
        Trial("b", True, "", "", ("centre",)),
        Trial("c", True, "factor", "centre", ("shift",)),
        Trial("d", True, "factor", "centre", ()),
        Trial("e", False, "", "", ()),
        Trial("f", False, "factor", "centre", ("centre",)),
    ]
    told = summary(found)["rates"]["claim told"]
    assert (told["false alarms"]["wrong"], told["misses"]["wrong"]) == (1, 1)
    assert told["misses by the named check"]["wrong"] == 2
    assert summary(found)["faults"]["factor"] == {
        "check": "centre",
        "of": 3,
        "missed": 1,
        "missed by the named check": 2,
    }
    assert "| claim told | misses | 1 of 2 | 50.0% |" in to_markdown(found)
    assert "- false alarm, told: b: centre" in to_markdown(found)


def test_the_command_writes_both_files(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [
        Trial("a", t, f, f and "centre", (f and "centre",) if f else ())
        for t in (True, False)
        for f in ("", "x")
    ]
    monkeypatch.setattr(measure, "trials", lambda count, tell: some)
    ran = CliRunner().invoke(cli, ["audit", "--rates", "4", "--out", str(tmp_path)], standalone_mode=False)
    assert ran.return_value == 0
    assert json.loads((tmp_path / "rates.json").read_text())["rates"]["claim told"]["misses"]["of"] == 1
    assert "Clopper and Pearson" in (tmp_path / "rates.md").read_text()
