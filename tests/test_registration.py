"""Designs registered in advance: seeds that no design has used before, and designs that have changed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from crosscheck.claims import Equal, register
from crosscheck.claims.claim import Unit
from crosscheck.claims.judged import Registered
from crosscheck.errors import UsageError
from crosscheck.report import summary
from crosscheck.running import plan, registration
from tests.judged_checks import check

STUDY = "weight_decay"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A register of designs of its own, empty."""
    monkeypatch.setattr(registration, "FILE", tmp_path / "registered.json")
    registration.designs_of.cache_clear()
    yield tmp_path / "registered.json"
    registration.designs_of.cache_clear()


def seeds_planned(**more) -> set[int]:
    made = plan.make(plan.Request((STUDY,), Path("results"), Path("store"), **more))
    return {seed for unit in made.all_units for seed in unit.seeds}


def changed(monkeypatch: pytest.MonkeyPatch, **fields) -> None:
    """The study with one field of its first check changed, as an edit would."""
    study = register.load(STUDY)
    first, *others = study.CHECKS
    monkeypatch.setattr(study, "CHECKS", (dataclasses.replace(first, **fields), *others))
    registration.designs_of.cache_clear()


def test_what_is_not_registered_runs_on_the_seeds_of_pilots(file):
    assert min(seeds_planned()) == registration.PILOT
    assert registration.registered(STUDY, "logits", [registration.PILOT]) is None


def test_registering_gives_a_block_of_fresh_seeds_which_runs_then_take(file):
    registration.register_anew([STUDY])
    seeds = seeds_planned()
    assert min(seeds) == registration.BLOCK and max(seeds) < 2 * registration.BLOCK
    assert min(seeds_planned(pilot=True)) == min(seeds_planned(scale="smoke")) == registration.PILOT
    assert max(seeds_planned(seeds=3)) == registration.BLOCK + 2


def test_a_design_that_stands_keeps_its_block_and_a_changed_one_takes_the_next(file, monkeypatch):
    assert registration.register_anew([STUDY])[STUDY].block == 1
    assert registration.register_anew([STUDY]) == {}
    changed(monkeypatch, statement="Something else.")
    assert registration.registered(STUDY, "logits", [5000, 5001]).changed
    assert not registration.registered(STUDY, "residual", []).changed
    assert registration.register_anew([STUDY])[STUDY].block == 2
    assert min(seeds_planned()) == 2 * registration.BLOCK
    state = registration.registered(STUDY, "logits", [10_000, 10_001])
    assert (state.block, state.seeds, state.changed) == (2, "10000–10001", False)


def test_what_is_exact_may_change_on_the_same_block(file, monkeypatch):
    """It draws on no seeds, so that none has been used up."""
    registration.register_anew([STUDY])
    changed(monkeypatch, statement="Something else.", exact=True)
    assert registration.register_anew([STUDY])[STUDY].block == 1
    assert not registration.registered(STUDY, "logits", []).changed


@pytest.mark.parametrize(
    "fields",
    [
        {"criterion": Equal(0.123)},
        {"control": "another"},
        {"positive": "another"},
        {"population": "generator"},
        {"settings": ("a",)},
        {"scope": True},
    ],
    ids=str,
)
def test_each_part_of_a_design_counts(file, monkeypatch, fields):
    before = registration.designs_of(STUDY)
    changed(monkeypatch, **fields)
    after = registration.designs_of(STUDY)
    assert after["logits"] != before["logits"]
    assert after["residual"] == before["residual"]


def test_how_many_seeds_count_and_which_do_not(file):
    unit = Unit(STUDY, "train_penalised", {"steps": 3}, seeds=(0, 1, 2))
    moved = dataclasses.replace(unit, seeds=(7, 8, 9))
    fewer = dataclasses.replace(unit, seeds=(0, 1))
    assert registration.described(unit) == registration.described(moved) != registration.described(fewer)


def test_the_measuring_code_counts_and_the_drawing_code_does_not():
    study, check = register.load(STUDY), register.load(STUDY).CHECKS[0]
    units = register.units_of(study, "standard")
    behind = registration.units_behind(STUDY, study, check, units)
    assert 0 < len(behind) < len(units)


def test_no_block_is_left_below_the_seeds_of_pilots(file, monkeypatch):
    file.write_text(json.dumps({STUDY: {"block": 9, "designs": {}}}))
    with pytest.raises(UsageError, match="has had 9 blocks"):
        registration.register_anew([STUDY])


def test_a_broken_register_is_told(file):
    file.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        registration.entries()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (None, "a pilot: its design is not registered"),
        ({"design": "a", "block": 1, "seeds": "5000–5015"}, "registered: seeds 5000–5015, block 1"),
        ({"design": "a", "block": 1}, "registered"),
        ({"design": "a", "block": 1, "changed": True}, "its design has changed since it was confirmed"),
    ],
)
def test_the_report_says_how_a_design_stands(state, says):
    record = check(**({"registered": Registered(**state)} if state else {}))
    assert summary.registration(record) == says


def test_every_block_of_seeds_is_a_chance_to_be_wrong_at_the_level_of_its_own_run():
    first = check(region=(None, 1.0), level=1 - 2e-5, registered=Registered(design="a", block=1))
    third = check(region=(-1.0, 1.0), level=1 - 4e-5, registered=Registered(design="a", block=3))
    exact = check(region=(-1.0, 1.0), level=1, registered=Registered(design="a", block=9))
    studies = [SimpleNamespace(checks=[first, third]), SimpleNamespace(checks=[exact])]
    assert summary.chance_of_error(studies) == pytest.approx(1e-5 + 2 * 3 * 2e-5)
    assert summary.chance_of_error(studies, anew=False) == pytest.approx(1e-5 + 2 * 2e-5)
    assert summary.chance_of_error(studies[1:]) == 0
