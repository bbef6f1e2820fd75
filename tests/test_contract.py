"""The contract that every study keeps, run at the smoke scale through the real runner.

Rows are kept in the project's own store, as `crosscheck run --scale smoke` keeps them: a unit's key holds
code, data, versions and machine, so that what has not changed is not trained again. `pytest -k NAME` runs
one study.
"""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crosscheck.studies
from crosscheck import data
from crosscheck.claims import BACKENDS, POPULATIONS, Check, Unit, register, verdicts
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.rows import COLUMNS, EXACT
from crosscheck.running import plan, registration, runner, store

STUDIES = {name: register.load(name) for name in register.NAMES}
LEVEL = verdicts.interval_level(STUDIES.values(), "smoke")
STORE = Path(__file__).parents[1] / ".store"
ABSENT = [name for name in data.CATALOGUE if not data.prepared(name)]
ABSENT += [backend for backend in BACKENDS if not plan.is_installed(backend)]


def runs_here(check: Check) -> bool:
    """Whether any of its settings can be judged on this machine, at this scale."""
    return "smoke" in check.scales and not set(check.settings) <= set(ABSENT)


CHECKS = [(name, check) for name, study in STUDIES.items() for check in study.CHECKS if runs_here(check)]


def prepared_units(name: str) -> list[Unit]:
    units = registration.shifted(STUDIES[name].units("smoke"), "smoke")
    return [unit for unit in units if not {*unit.data, unit.backend} & set(ABSENT)]


@functools.cache
def rows_of(name: str) -> pd.DataFrame:
    """The rows of a study at the smoke scale, as the store returns them."""
    units = prepared_units(name)
    outcome = runner.run(units, STORE, jobs=1)
    assert not outcome.failed and not outcome.nan
    return store.rows(STORE, units)[0]


@functools.cache
def judged(name: str) -> dict[str, CheckRecord]:
    """What the checks of a study came out as, by id."""
    checks = verdicts.judge_study(STUDIES[name], rows_of(name), LEVEL, ABSENT, "smoke").checks
    return {check.id: check for check in checks}


@pytest.mark.parametrize(("name", "check"), CHECKS, ids=[f"{name}-{check.id}" for name, check in CHECKS])
def test_every_control_fails(name: str, check: Check) -> None:
    control = judged(name)[check.id].control
    assert control.verdict == "fails", control


@pytest.mark.parametrize(("name", "check"), CHECKS, ids=[f"{name}-{check.id}" for name, check in CHECKS])
def test_every_control_that_must_hold_holds(name: str, check: Check) -> None:
    assert check.positive, "without a case in which it must hold, `fails` would not count"
    positive = judged(name)[check.id].positive
    assert positive.verdict == "holds", positive


def deviations(rows: pd.DataFrame, arm: str) -> pd.Series:
    """How far an arm lies from what it is held against; for identities, in units in the last place."""
    part = rows[rows["arm"] == arm]
    return (part["value"] - part["reference"]) / part["resolution"].where(part["seed"] == EXACT, 1.0)


@pytest.mark.parametrize(("name", "check"), CHECKS, ids=[f"{name}-{check.id}" for name, check in CHECKS])
def test_a_control_is_measured_and_not_fixed(name: str, check: Check) -> None:
    """Whatever is the same for all seeds, where the claim is not, was put there rather than measured."""
    rows = rows_of(name)[lambda rows: rows["check"] == check.id]
    claim, control, positive = (deviations(rows, arm) for arm in ("claim", "control", "positive"))
    assert not np.array_equal(np.sort(claim), np.sort(control)), "the control has the claim's own numbers"
    assert not np.array_equal(np.sort(control), np.sort(positive)), "both controls have the same numbers"
    if not check.exact and claim.nunique() > 1:
        assert control.nunique() > 1, "the control has one number for all seeds"


@pytest.mark.parametrize(("name", "check"), CHECKS, ids=[f"{name}-{check.id}" for name, check in CHECKS])
def test_it_is_the_measured_values_that_decide(name: str, check: Check) -> None:
    """The values of the control that holds, in the other's place, do not fail, and the other way round."""
    rows = rows_of(name)[lambda rows: rows["check"] == check.id]
    swapped = rows.assign(arm=rows["arm"].replace({"control": "positive", "positive": "control"}))
    record = verdicts.judge_check(check, swapped, LEVEL, ABSENT)
    assert record.positive.verdict != "holds"
    assert record.control.verdict != "fails"


@pytest.mark.parametrize("name", register.NAMES)
def test_every_check_and_setting_has_rows_of_both_arms(name: str) -> None:
    seen = set(zip(*(rows_of(name)[c] for c in ("check", "arm", "setting")), strict=True))
    for check in STUDIES[name].CHECKS:
        for setting in check.settings:
            if setting in ABSENT or "smoke" not in check.scales:
                continue
            assert (check.id, "claim", setting) in seen
            assert (check.id, "control", setting) in seen


@pytest.mark.parametrize("name", register.NAMES)
def test_rows_have_the_promised_columns_and_no_stray_checks(name: str) -> None:
    rows = rows_of(name)
    assert tuple(rows.columns) == COLUMNS
    assert set(rows["arm"]) <= {"claim", "control", "positive"}
    own = {check.id for check in STUDIES[name].CHECKS if runs_here(check)}
    others = {unit.study for unit in prepared_units(name)} - {name}
    of_others = {check.id for other in others for check in STUDIES[other].CHECKS}
    assert own <= set(rows["check"]) - {""} <= own | of_others


@pytest.mark.parametrize(
    ("name", "theory", "point"),
    [
        (name, theory, point)
        for name, study in STUDIES.items()
        for theory in study.THEORIES
        for point in theory.points
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_theory_is_finite_and_agrees_with_brute_force(name: str, theory, point) -> None:
    closed = theory.closed_form(*point)
    assert math.isfinite(closed)
    assert closed == pytest.approx(theory.brute_force(*point), rel=theory.tolerance, abs=theory.tolerance)


@pytest.fixture(scope="module")
def faults(request: pytest.FixtureRequest) -> dict[str, str]:
    """What went wrong in drawing the chosen studies in a process without Keras."""
    tests = [test for test in request.session.items if "faults" in test.fixturenames]
    names = [test.callspec.params["name"] for test in tests]
    for name in names:
        rows_of(name)
    command = [sys.executable, "-W", "ignore", Path(__file__).with_name("drawing.py"), STORE, *names]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("name", register.NAMES)
def test_table_and_figure_are_made_from_rows_alone_and_without_keras(
    name: str, faults: dict[str, str]
) -> None:
    assert name not in faults, faults[name]


@pytest.mark.parametrize("name", register.NAMES)
def test_units_name_what_exists(name: str) -> None:
    study = STUDIES[name]
    for scale in ("smoke", "standard", "full"):
        units = study.units(scale)
        is_run = any(scale in check.scales for check in study.CHECKS)
        assert any(unit.study == name for unit in units) == is_run
        assert len({str(unit) for unit in units}) == len(units)
        for unit in units:
            assert callable(getattr(STUDIES[unit.study], unit.measure))
            assert set(unit.data) <= set(data.CATALOGUE)
            assert len(set(unit.seeds)) == len(unit.seeds)


@pytest.mark.parametrize("name", register.NAMES)
def test_claim_says_everything_a_reader_needs(name: str) -> None:
    study = STUDIES[name]
    assert all((study.CLAIM.title, study.CLAIM.statement, study.CLAIM.formula, study.CLAIM.source))
    ids = [check.id for check in study.CHECKS]
    assert len(set(ids)) == len(ids)
    for check in study.CHECKS:
        assert all((check.statement, check.theory, check.control, check.positive, check.settings))
        assert check.exact or check.population in POPULATIONS, "what its intervals speak of"


def test_a_study_lives_in_one_file_and_the_register_knows_them_all() -> None:
    files = {path.stem for path in Path(crosscheck.studies.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(register.NAMES)
