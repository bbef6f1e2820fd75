"""The other parts of the practice: sick programs and their evidence, baselines and the reserve."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.diagnose_rates.names import NAMES, names_of
from benchmarks.practice_rates import improving
from crosscheck.practice.diagnose import evidence, observing
from crosscheck.practice.diagnose import part as diagnose
from crosscheck.practice.diagnose.faults import FAULTS, HEALTHY, NONE, SICK, drawn_set
from crosscheck.practice.diagnose.recipes import Recipe, data_of
from crosscheck.practice.folder import STATE, read_state
from crosscheck.practice.improve import judging, numbers, tasks
from crosscheck.practice.improve import part as improve
from crosscheck.practice.improve.judging import ANSWERS, GOALS, is_passed, judged, laddered

RESULTS = Path(__file__).parents[1] / "results" / "practice"


# --- diagnose ----------------------------------------------------------------------------------------------


def test_faults_are_those_of_the_rates_and_named_by_the_same_checks() -> None:
    assert set(FAULTS) <= set(NAMES)
    for name, fault in FAULTS.items():
        assert set(fault.checks) <= set(names_of(name)), name
        assert fault.evidence and set(fault.evidence) <= set(evidence.OBSERVATIONS)


def test_a_set_has_distinct_faults_and_healthy_programs_and_goes_by_its_seed() -> None:
    faults = [fault for fault, _ in drawn_set(5).values()]
    assert len(set(faults) - {NONE}) == SICK and faults.count(NONE) == HEALTHY
    assert drawn_set(5) == drawn_set(5) != drawn_set(6)
    for fault, recipe in drawn_set(5).values():
        changed = {} if fault == NONE else FAULTS[fault].changes
        assert all(getattr(recipe, name) == value for name, value in changed.items())


def observed(fault: str, folder: Path) -> evidence.Files:
    recipe = replace(Recipe(seed=5), **({} if fault == NONE else FAULTS[fault].changes))
    observing.write(observing.observe(recipe), folder, fault)
    return evidence.read(folder)


def assert_shown(fault: str, folder: Path) -> None:
    files = observed(fault, folder)
    assert any(evidence.holds(name, files) for name in diagnose.pointing(fault))
    assert evidence.holds(evidence.AMISS, files) == (fault == NONE)


@pytest.mark.long
@pytest.mark.parametrize("fault", [NONE, *FAULTS])
def test_every_fault_is_shown_by_its_files(fault: str, tmp_path: Path) -> None:
    assert_shown(fault, tmp_path)


@pytest.fixture
def one_program(tmp_path: Path, monkeypatch) -> Path:
    """A folder with one program, whose units are all off."""
    recipe = replace(Recipe(seed=5, epochs=2), **FAULTS["ReLU pushed below 0"].changes)
    monkeypatch.setattr(diagnose, "drawn_set", lambda seed: {"program-01": ("ReLU pushed below 0", recipe)})
    diagnose.lay_out(tmp_path / "diagnose", 1, lambda line: None)
    (tmp_path / STATE).write_text('{"seed": 1}')
    return tmp_path


def answer(folder: Path, fault: str, seen: str) -> None:
    text = f'[program-01]\nfault = "{fault}"\nevidence = "{seen}"\n'
    (folder / "diagnose" / diagnose.ANSWERS).write_text(text)


def test_answers_are_marked_and_stand_nowhere_in_the_folder(one_program: Path, monkeypatch) -> None:
    laid = "\n".join(path.read_text() for path in (one_program / "diagnose" / "program-01").glob("*.csv"))
    assert "ReLU" not in laid
    assert (one_program / "diagnose" / "program-01" / observing.FIGURE).stat().st_size > 10_000
    monkeypatch.setattr(diagnose, "instrument_answer", lambda recipe, folder: "none")
    assert diagnose.card_of(one_program).points == 0 and not diagnose.card_of(one_program).remarks
    cases = {
        ("ReLU pushed below 0", "hidden units are all off"): 2,
        ("ReLU pushed below 0", "answers stay near chance"): 1,  # true, and points elsewhere
        ("kernels of zeros", "hidden units are all off"): 1,
        ("none", "nothing amiss"): 0,
        ("rust", "smoke"): 0,
    }
    for (fault, seen), points in cases.items():
        answer(one_program, fault, seen)
        card = diagnose.card_of(one_program)
        assert card.points == points, (fault, seen)
        assert not any("ReLU" in line for mark in card.marks for line in mark.lines)
    assert any("crosscheck diagnose" in line for line in card.remarks)


def test_the_confusion_matrix_counts_every_program_once() -> None:
    truths = {"a": "none", "b": "x", "c": "x"}
    lines = diagnose.confusion("you", truths, {"a": "x", "b": "x", "c": "none"})
    assert [line.split()[-2:] for line in lines[2:]] == [["·", "1"], ["1", "1"]]
    assert diagnose.scores(truths, truths, dict.fromkeys(truths, "none"))[0].startswith("faults named: you 3")


def test_labels_of_other_rows_are_the_same_labels() -> None:
    sick, _ = data_of(Recipe(seed=4, labels="of other rows"))
    own, _ = data_of(Recipe(seed=4))
    assert sorted(sick.y) == sorted(own.y) and np.mean(sick.y == own.y) < 0.2


# --- improve -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tasks.SHEETS)
def test_reserved_rows_are_never_trained_on(name: str) -> None:
    task, y_test = tasks.task_of(name, 3, range(2))
    reserved = {row.tobytes() for row in task.x_test[: tasks.RESERVED]}
    if name != "f1":  # four pixels are alike now and then
        assert not any(row.tobytes() in reserved for row in np.concatenate([*task.x_train, *task.x_held]))
    assert len(y_test) == len(task.x_test)
    assert task.x_train.shape[:2] == (2, tasks.SHEETS[name].train)


def test_another_seed_of_a_folder_reserves_other_rows() -> None:
    first, second = (tasks.task_of("zeros", seed, [0])[0].x_test for seed in (1, 2))
    assert not np.array_equal(first, second)


def gained(by: float, spread: float = 0.0) -> list:
    rng = np.random.default_rng(0)
    base = {"loss": np.full(32, 1.0), "accuracy": np.full(32, 0.9)}
    theirs = {"loss": 1.0 - by + spread * rng.normal(size=32), "accuracy": np.full(32, 0.9)}
    return judged(GOALS["temperature"], theirs, {"baseline": base})


def test_only_a_whole_interval_beyond_the_margin_passes() -> None:
    assert is_passed(gained(0.06, 0.002))
    assert not is_passed(gained(0.06, 0.1))
    assert not is_passed(gained(0.04))
    assert not is_passed(gained(0.0))


def test_a_lost_accuracy_does_not_pass() -> None:
    base = {"FPR95": np.full(32, 0.5), "accuracy": np.full(32, 0.95)}
    theirs = {"FPR95": np.full(32, 0.1), "accuracy": np.full(32, 0.93)}
    assert not is_passed(judged(GOALS["outliers"], theirs, {"baseline": base}))


def test_the_reserve_tells_only_what_betters_its_last_word_by_a_step() -> None:
    told: list[float] = []
    said = [laddered(gained(by), told)[0] for by in (0.030, 0.034, 0.021, 0.062)]
    assert told == pytest.approx([0.03, 0.03, 0.03, 0.06])
    assert "as before" in said[2] and "as before" not in said[3]


def test_the_reserve_answers_so_often_and_not_to_the_baseline_as_it_stands(
    tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "improve").mkdir()
    (tmp_path / STATE).write_text('{"seed": 1}')
    source = Path(improve.__file__).parent / "baselines" / "temperature.py"
    mine = tmp_path / "improve" / "temperature.py"
    mine.write_text(source.read_text())
    values = {"loss": np.full(32, 1.0), "accuracy": np.full(32, 0.9)}
    monkeypatch.setattr(improve, "numbers_of", lambda *_: (values, {"baseline": values}, ""))
    assert "as it stands" in improve.mark_of(tmp_path, "temperature").lines[0]
    assert "told" not in read_state(tmp_path)
    mine.write_text("def solve(task):\n    return None\n")
    for _ in range(ANSWERS):
        assert improve.mark_of(tmp_path, "temperature").verdict == "failed"
    assert improve.mark_of(tmp_path, "temperature").verdict == "could not look"
    assert len(read_state(tmp_path)["told"]["temperature"]) == ANSWERS
    mine.unlink()
    assert improve.card_of(tmp_path, ["temperature"]).exit_code == 2


def test_what_a_program_returns_in_another_shape_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "improve").mkdir()
    (tmp_path / STATE).write_text('{"seed": 1}')
    (tmp_path / "improve" / "balance.py").write_text("def solve(task):\n    return task.y_held\n")
    mark = improve.mark_of(tmp_path, "balance")
    assert "shape" in mark.lines[0] and "told" not in read_state(tmp_path)


def test_numbers_by_hand() -> None:
    task = tasks.Task((0, 1), *[np.zeros((2, 1, 4))] * 4, np.zeros((3, 4)))
    y = np.array([0, 1, 9])
    logits = np.zeros((2, 3, 10))
    assert numbers.likelihood(logits, y, task)["loss"] == pytest.approx([np.log(10)] * 2)
    labels = np.eye(10)[y]
    said = np.stack([labels, np.zeros_like(labels)])
    assert numbers.f1(said, labels, task)["F1"] == pytest.approx([0.3, 0.0])
    y = np.arange(10)
    task = replace(task, x_test=np.zeros((10, 4)))
    classes = np.stack([y, np.zeros(10)])
    assert numbers.balanced_error(classes, y, task)["balanced error"] == pytest.approx([0.0, 0.9])


@pytest.mark.long
@pytest.mark.parametrize("exercise", GOALS)
def test_a_reference_passes_and_the_baseline_under_other_seeds_does_not(exercise: str) -> None:
    assert improving.control(exercise, "reference").passes
    assert not improving.control(exercise, "baseline").passes


def test_the_committed_controls_came_out_as_they_should() -> None:
    record = json.loads((RESULTS / "improve.json").read_text())
    programs = {(one["exercise"], one["program"], one["passes"]) for one in record["controls"]}
    expected = {
        (name, program, program == "reference") for name in GOALS for program in ("reference", "baseline")
    }
    assert programs == expected and record["level"] == judging.LEVEL
