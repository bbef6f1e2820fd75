"""A machine that has less says less, not something else, and does not replace what says more."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up_study as made_up
import pytest
import throwaway

from crosscheck.claims import Check, Exceeds, Unit, register, verdicts
from crosscheck.claims.judged import CheckRecord, ControlRecord, PartRecord, StudyVerdict
from crosscheck.claims.words import Verdict
from crosscheck.cli.run import Voice
from crosscheck.running import conclude, coverage, plan

# --- the verdict ------------------------------------------------------------------------------------


NUMBERS: dict[str, Any] = {"theory": None, "estimate": 0.0, "interval": (0.0, 0.0), "level": 1.0, "n": 1}


def check_record(name: str, kind: str, by_setting: dict[str, str]) -> CheckRecord:
    """A check with a verdict at each setting; an empty one where the setting was not run."""
    parts = [
        PartRecord(setting=setting, verdict=Verdict(verdict), **NUMBERS)
        for setting, verdict in by_setting.items()
        if verdict
    ]
    worst = min((part.verdict for part in parts), key=lambda verdict: verdict.rank, default=Verdict.UNDECIDED)
    return CheckRecord(
        **{"id": name, "kind": kind, "statement": "", "criterion": "", "formula": "", "reason": ""},
        **NUMBERS,
        verdict=worst,
        scope={part.setting: part.verdict for part in parts},
        control=ControlRecord(statement="", verdict=Verdict.FAILS, **NUMBERS),
        absent=[setting for setting, verdict in by_setting.items() if not verdict],
        parts=parts,
        unrun=not parts,
    )


def judged(**by_setting: str) -> StudyVerdict:
    """A study with two checks: one at the settings given, and one that holds wherever it is run."""
    checks = [check_record("own", "scope", by_setting), check_record("other", "equal", {"": "holds"})]
    combined = verdicts.combine([check for check in checks if not check.unrun])
    return StudyVerdict(verdict=combined, checks=checks)


REFERENCE = judged(digits="holds", mnist="fails")


def test_a_verdict_that_only_a_missing_set_would_turn_is_open() -> None:
    assert REFERENCE.verdict == "scoped"
    assert conclude.beside_reference(judged(digits="holds", mnist=""), REFERENCE) == "open"
    assert conclude.beside_reference(judged(digits="", mnist=""), REFERENCE) == "open"


def test_a_verdict_that_moved_on_what_was_run_stands() -> None:
    moved = judged(digits="undecided", mnist="")
    assert conclude.beside_reference(moved, REFERENCE) == moved.verdict == "undecided"


def test_a_verdict_as_in_the_reference_stands_whatever_is_missing() -> None:
    assert conclude.beside_reference(judged(digits="", mnist="fails"), REFERENCE) == "scoped"


def test_a_verdict_stands_where_nothing_is_missing_or_there_is_no_reference() -> None:
    assert conclude.beside_reference(judged(digits="holds", mnist="holds"), REFERENCE) == "holds"
    assert conclude.beside_reference(judged(digits="holds", mnist=""), None) == "holds"


def test_a_check_that_cannot_be_run_here_is_named_and_does_not_count() -> None:
    mnist = Check("elsewhere", "it is so", Exceeds(0.1), "", "not so", settings=("mnist",))
    bounded = made_up.CHECKS[1]
    study = made_up.study((bounded, mnist))
    level = made_up.PROVENANCE["level"]
    verdict = verdicts.judge_study(study, made_up.measured(), level, absent=("mnist",))
    assert verdict.verdict == "holds"
    left_out = verdict.checks[1]
    assert (left_out.verdict, left_out.unrun, left_out.absent) == ("open", True, ["mnist"])
    assert left_out.reason == "not run here: mnist"
    alone = verdicts.judge_study(made_up.study((mnist,)), made_up.measured(), level, absent=("mnist",))
    assert alone.verdict == "undecided", "no evidence is none, and there is no reference beside it"


def test_a_check_whose_settings_are_no_data_sets_is_named_as_not_run_where_it_has_no_rows() -> None:
    mean = made_up.CHECKS[1]
    few = replace(mean, id="few", settings=("8 components", "64 components"))
    study, level = made_up.study((mean, few)), made_up.PROVENANCE["level"]
    judge = lambda lacking: verdicts.judge_study(study, made_up.measured(), level, ["mnist"], lacking=lacking)
    steady, left_out = judge({"few": ["clinc_oos"], "mean": ["clinc_oos"]}).checks
    assert (left_out.verdict, left_out.unrun, left_out.absent) == ("open", True, ["clinc_oos"])
    assert left_out.reason == "not run here: clinc_oos" and not left_out.parts
    assert steady.verdict == "holds" and not steady.unrun, "it has rows, and they are judged"
    assert judge({}).checks[1].verdict == "undecided", "a unit that failed is no want of data"


# --- what a run covers ------------------------------------------------------------------------------


def request(results: Path, **more) -> plan.Request:
    return plan.Request(("s",), results, Path("store"), **more)


def work(*units: Unit) -> plan.Plan:
    return plan.Plan({}, {"s": list(units)}, *[frozenset()] * 5)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Of digits and MNIST, on TensorFlow and PyTorch."""
    versions = {"keras": "3", "tensorflow": "2", "torch": "2"}
    run = {"data": {"digits": "1", "mnist": "3"}, "versions": versions, "scale": "standard"}
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "verdict.json").write_text(json.dumps({"provenance": {**run, "backend": "tensorflow"}}))
    return tmp_path


ALL = (Unit("s", "a", data=("digits", "mnist")), Unit("s", "b", backend="torch"))


def test_a_run_of_all_that_lies_there_loses_nothing(results: Path) -> None:
    assert coverage.lost(request(results), work(*ALL)) == []
    assert coverage.lost(request(results, scale="full"), work(*ALL, Unit("s", "c", data=("yeast",)))) == []


def test_what_a_run_would_lose_is_named(results: Path) -> None:
    assert coverage.lost(request(results), work(Unit("s", "a", data=("digits",)))) == ["mnist", "torch"]
    assert coverage.lost(request(results, scale="smoke"), work(*ALL)) == ["the standard scale"]
    assert coverage.lost(request(results, backend="jax"), work(*ALL)) == ["the backend tensorflow"]


@pytest.mark.parametrize("broken", ["{", "[]", "{}", '{"provenance": {"data": 1}}'])
def test_what_is_missing_or_broken_has_nothing_to_lose(results: Path, broken: str) -> None:
    (results / "s" / "verdict.json").write_text(broken)
    assert coverage.lost(request(results), work()) == []
    assert coverage.lost(request(results / "nowhere"), work()) == []


def test_a_run_with_nothing_to_run_at_its_scale_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Voice().print_coverage(work())
    assert capsys.readouterr().out == "Nothing to run at this scale.\n"


NEED_CLINC = {"milder", "decision", "decision_beats_training", "decision_size", "coarse_rises", "fine_falls"}


def test_what_a_check_lacks_is_told_by_the_units_that_measure_for_it() -> None:
    """`hierarchy` trains on CLINC150 for checks whose settings are numbers of components."""
    study = register.load("hierarchy")
    lacking = conclude.lacking_of("hierarchy", study, request(Path("results")), without("clinc_oos"))
    assert set(lacking) == {*NEED_CLINC, "violations"}
    assert all(names == ["clinc_oos"] for names in lacking.values())
    assert conclude.lacking_of("hierarchy", study, request(Path("results")), without()) == {}
    calibration = register.load("calibration")
    work = without("mnist", "fashion_mnist")
    assert not conclude.lacking_of("calibration", calibration, request(Path("results")), work), (
        "digits are there"
    )


def without(*names: str) -> plan.Plan:
    nothing: frozenset[str] = frozenset()
    return plan.Plan({}, {}, nothing, nothing, frozenset(names), frozenset(names), nothing)


# --- in a checkout whose results cover more ----------------------------------------------------------


def test_a_run_that_covers_less_leaves_the_results_alone_unless_asked(tmp_path: Path) -> None:
    project = throwaway.lay_out(tmp_path)
    project.crosscheck("run", "steady", "--quiet")
    file = project.folder / "results" / "steady" / "verdict.json"
    file.write_text(file.read_text().replace('"data": {}', '"data": {"mnist": "3.0.1/0123"}'))
    before = project.files()
    ran = project.crosscheck("run", "steady")
    first, second, third, *_ = ran.stdout.splitlines()
    assert first == "Covered: 0 of 1 data set, 1 of 1 backend. Not run here: mnist."
    assert second.startswith("To fetch the rest: ") and second.endswith(" -m crosscheck data mnist")
    assert "results covers more (mnist)" in third and "build/standard" in third
    assert "steady  not run here: mnist" in ran.stdout
    assert project.files() == before
    assert (project.folder / "build" / "standard" / "report.html").exists()
    again = project.crosscheck("run", "steady")
    assert "Nothing to do: build/standard is up to date" in again.stdout
    assert project.files() == before
    shutil.rmtree(project.folder / "build")
    project.crosscheck("run", "steady", "--replace")
    assert project.files() != before and not (project.folder / "build").exists()


def test_a_run_names_a_check_whose_data_are_absent_though_no_setting_is_called_so(tmp_path: Path) -> None:
    project = throwaway.lay_out(tmp_path)
    study = project.folder / "studies" / "steady.py"
    text = study.read_text().replace('settings=("", "mnist")', 'settings=("few",)')
    study.write_text(text.replace('"measure", {}, seeds)', '"measure", {}, seeds, data=("mnist",))'))
    ran = project.crosscheck("run", "steady")
    record = json.loads((project.folder / "results" / "steady" / "verdict.json").read_text())
    assert record["checks"][0]["absent"] == ["mnist"] and record["checks"][0]["verdict"] == "open"
    assert "not run here: mnist" in ran.stdout
