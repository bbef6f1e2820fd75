"""The practice: folder, score card and command; the marker of the losses; what is committed of its rates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from in_process import crosscheck

from benchmarks.practice_rates.measure import Trial, solutions, summary, to_markdown
from benchmarks.practice_rates.right import RIGHT
from benchmarks.practice_rates.wrong import WRONG, Wrong
from crosscheck.practice import card, folder, shielding
from crosscheck.practice.card import Card, Mark
from crosscheck.practice.implement import EXERCISES, failures_of
from crosscheck.practice.implement import part as implement
from crosscheck.practice.implement.failure import Failure
from crosscheck.practice.implement.hints import HINTS, NEARLY, hint_for

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "practice"
BY_NAME = {(wrong.exercise, wrong.name): wrong for wrong in WRONG}
QUICK = [
    ("binary", "ln of a sigmoid, 0 · ln 0"),
    ("sparse", "labels cast to 8 bits"),
    ("joint", "the last label first"),
]


def marks(*verdicts: str) -> Card:
    points = {"passed": 1}
    return Card(tuple(Mark("implement", str(i), points.get(v, 0), 1, v) for i, v in enumerate(verdicts)))


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("passed",) * 3 + ("failed",), 0),
        (("passed",) * 2 + ("failed",) * 2, 1),
        (("passed",) * 3 + ("could not look",), 2),
    ],
)
def test_the_exit_code_is_that_of_the_mark(verdicts: tuple[str, ...], code: int) -> None:
    assert marks(*verdicts).exit_code == code


def test_a_folder_is_laid_out_once_and_marked_as_it_stands(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    laid = crosscheck("practice", "implement", "--seed", 3)
    assert laid.code == 0 and "crosscheck practice implement --check --only binary" in laid.out
    assert {path.stem for path in (tmp_path / "practice" / "implement").glob("*.py")} == set(EXERCISES)
    again = crosscheck("practice", "implement")
    assert again.code == 2 and "is there already" in again.err
    unwritten = crosscheck("practice", "implement", "--check", "--only", "brier", "--json")
    assert unwritten.code == 1
    (mark,) = json.loads(unwritten.out)["marks"]
    assert mark["verdict"] == "failed" and "not written yet" in mark["lines"][0]
    assert crosscheck("practice", "improve", "--check").code == 2
    assert crosscheck("practice", "implement", "--check", "--only", "brie").code == 2
    (tmp_path / "practice" / "implement" / "brier.py").unlink()
    assert crosscheck("practice", "implement", "--check", "--only", "brier").code == 2


def test_what_is_no_practice_folder_is_refused(tmp_path: Path) -> None:
    for content in (
        "",
        "[]",
        '{"seed": "x"}',
        '{"seed": 1, "told": 2}',
        '{"seed": 1, "told": {"f1": 0}}',
        '{"seed": 1e400}',
    ):
        (tmp_path / folder.STATE).write_text(content)
        ran = crosscheck("practice", "implement", "--check", "--folder", tmp_path)
        assert ran.code == 2 and "no practice folder" in ran.err


def test_a_file_that_cannot_be_run_has_failed_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "implement").mkdir()
    (tmp_path / "implement" / "brier.py").write_text("def brier(:\n")
    mark = implement.mark_of(tmp_path / "implement", "brier")
    assert mark.verdict == "failed" and "SyntaxError" in mark.lines[0]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import sys\nsys.exit(0)\n", "it calls sys.exit"),
        ("import sys\ndef brier(y, z):\n    sys.exit(0)\n", "it calls sys.exit"),
        ("def brier(y, z):\n    while True:\n        pass\n", "no end after 1 s"),
        ("while True:\n    pass\n", "no end after 1 s"),
    ],
)
def test_a_file_neither_ends_the_marker_nor_holds_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    monkeypatch.setattr(implement, "limited", lambda: shielding.limited(1.0))
    (tmp_path / "implement").mkdir()
    (tmp_path / "implement" / "brier.py").write_text(source)
    mark = implement.mark_of(tmp_path / "implement", "brier")
    assert mark.verdict == "failed" and says in " ".join(mark.lines)


def test_json_is_alone_on_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    crosscheck("practice", "implement")
    path = tmp_path / "practice" / "implement" / "brier.py"
    path.write_text('print("a line of mine")\nfrom crosscheck.losses import categorical_brier as brier\n')
    ran = crosscheck("practice", "implement", "--check", "--only", "brier", "--json")
    assert json.loads(ran.out) and "a line of mine" in ran.err


def test_a_written_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "implement").mkdir()
    source = "from crosscheck.losses import categorical_brier as brier\n"
    (tmp_path / "implement" / "brier.py").write_text(source)
    assert implement.mark_of(tmp_path / "implement", "brier").verdict == "passed"


def test_there_are_eight_exercises_with_eight_wrong_solutions_each() -> None:
    assert len(EXERCISES) == 8 and set(RIGHT) == set(EXERCISES)
    for exercise in EXERCISES:
        assert len([wrong for wrong in WRONG if wrong.exercise == exercise]) >= 8
    assert len(BY_NAME) == len(WRONG)


def assert_rejected(wrong: Wrong) -> None:
    import keras

    failures = failures_of(EXERCISES[wrong.exercise], wrong.functions)
    if keras.backend.backend() in wrong.right_on:
        assert not failures
        return
    assert wrong.check in [failure.check for failure in failures]
    assert failures[0].hint and failures[0].at


@pytest.mark.every_backend
@pytest.mark.parametrize("name", QUICK, ids=" ".join)
def test_a_wrong_solution_is_rejected_by_the_named_check(name: tuple[str, str]) -> None:
    assert_rejected(BY_NAME[name])


@pytest.mark.every_backend
@pytest.mark.long
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.exercise} {wrong.name}")
def test_every_wrong_solution_is_rejected_by_the_named_check(wrong: Wrong) -> None:
    assert_rejected(wrong)


@pytest.mark.every_backend
def test_the_form_of_the_textbook_is_wrong_at_a_tie_where_the_backend_takes_one_side() -> None:
    (wrong,) = [wrong for wrong in WRONG if wrong.right_on]
    assert_rejected(wrong)


@pytest.mark.every_backend
@pytest.mark.parametrize("exercise", ["binary", "energy", "joint"])
def test_the_suites_own_solution_is_accepted(exercise: str) -> None:
    assert not failures_of(EXERCISES[exercise], RIGHT[exercise]["the suite's"])


@pytest.mark.every_backend
@pytest.mark.long
@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_right_solution_is_accepted(exercise: str) -> None:
    for name, functions in RIGHT[exercise].items():
        assert not failures_of(EXERCISES[exercise], functions), name


def test_the_smallest_failing_input_is_told_and_never_the_solution() -> None:
    wrong = BY_NAME["binary", "p clipped at 1e-7"]
    first, *others = failures_of(EXERCISES["binary"], wrong.functions)
    size = max(abs(float(number)) for number in re.findall(r"-?\d+(?=[,\]])", first.at.split("array")[1]))
    assert size == 10 and isinstance(first.measured, float) and isinstance(first.expected, float)
    words = "\n".join(line for failure in (first, *others) for line in failure.lines())
    assert not re.search("softplus|logsumexp|log_softmax|log1p|log-softmax", words)


@pytest.mark.parametrize(
    ("check", "measured", "expected", "is_nearly"),
    [
        ("centre", 5.346367, 5.346596, True),  # −ln(1 − σ(10)) in float32, and as it is
        ("centre", 10.69319, 5.346596, False),
        ("centre", float("nan"), 5.346596, False),
        ("centre", None, None, False),
        ("wrong tail", 5.346367, 5.346596, False),
    ],
)
def test_a_rounding_has_another_hint_than_a_wrong_formula(
    check: str, measured: float | None, expected: float | None, is_nearly: bool
) -> None:
    hint = hint_for("binary", Failure(check, "here", measured, expected))
    assert hint == (NEARLY if is_nearly else HINTS[check])


def test_every_check_has_a_hint() -> None:
    asked = {check for exercise in EXERCISES.values() for check in exercise.checks}
    assert asked <= set(HINTS)
    assert {wrong.check for wrong in WRONG} <= set(HINTS)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("rates*.json")), ids=lambda path: path.stem)
def test_the_committed_rates_are_of_all_solutions(path: Path) -> None:
    record = json.loads(path.read_text())
    backend = record["backend"]
    assert path.stem == ("rates" if backend == "tensorflow" else f"rates-{backend}")
    told = {(one["exercise"], one["name"]) for one in record["solutions"]}
    assert told == {(exercise, name) for exercise, name, *_ in solutions()}
    assert all(set(record["exercises"][name]) >= {"wrong", "killed"} for name in EXERCISES)


def test_rates_count_what_was_rejected_with_the_exact_interval() -> None:
    trials = [Trial("binary", str(i), True, "centre", ("centre",) * (i < 9)) for i in range(10)]
    trials += [Trial("binary", "right", False, "", ())]
    record = summary(trials)
    assert record["killed"]["count"] == 9 and record["killed"]["of"] == 10
    low, high = record["killed"]["interval"]
    assert low == pytest.approx(0.5550, abs=1e-4) and high == pytest.approx(0.9975, abs=1e-4)
    assert "9 of 10 | 90.0% | 55.5% to 99.7%" in to_markdown(trials)


def test_a_score_card_says_what_passed_and_what_is_needed() -> None:
    lines = str(marks("passed", "failed")).splitlines()
    assert lines[0].startswith("✓") and lines[-1] == "1 of 2 points; the mark is 2"
    assert card.together([marks("passed"), marks("failed")]).of == 2
