"""What a diagnosis says and how: its order, text, Markdown and JSON, what is expected, ways to ask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from diagnosed_faults import FAULTS, with_nan
from diagnosed_programs import classes, given, numbers, with_softmax

from crosscheck.cli.main import cli
from crosscheck.diagnose import Data, Diagnose, Finding, Findings, Program, _diagnose, diagnose, examine
from crosscheck.diagnose._by_trials import Trials
from crosscheck.diagnose._mend_all import Mending
from crosscheck.errors import UsageError

pytestmark = pytest.mark.every_backend

FAULT = Finding("labels-form", "✗", "a|b", why="why", fix="y - 1", tried="mended", place="train.py:41")
FINDINGS = Findings(
    (FAULT, Finding("head", "?", "odd"), Finding("n", "note", "legal"), Finding("x", "✓", "fine")),
    skipped=("half of it",),
    title="model",
)


def labelled(y: Any, **more: Any) -> Findings:
    model, arguments = given(with_softmax(), y, **more)
    return diagnose(model, **arguments, seconds=0)


def test_the_text_has_place_sign_number_reason_fix_and_trial() -> None:
    text = str(FINDINGS)
    assert text.splitlines()[:5] == [
        "model",
        "✗ train.py:41  labels-form: a|b (exact)",
        "    why: why",
        "    fix: y - 1",
        "    tried: mended",
    ]
    assert "not looked at: half of it" in text
    assert text.splitlines()[-1] == "1 wrong, 1 undecided, 1 to be known, 1 in order"


def test_markdown_escapes_what_would_break_it() -> None:
    text = FINDINGS.to_markdown()
    assert "a\\|b" in text and "| ? | head | odd |" in text and "`train.py:41`" in text


def test_json_has_everything_but_the_repairs() -> None:
    record = json.loads(FINDINGS.to_json())
    assert record["exit_code"] == 1 and record["findings"][0]["fix"] == "y - 1"
    assert "repair" not in record["findings"][0] and record["skipped"] == ["half of it"]


def test_what_is_expected_is_shown_and_does_not_count() -> None:
    findings = labelled(classes() + 1)
    assert findings.exit_code == 1
    model, arguments = given(with_softmax(), classes() + 1)
    meant = diagnose(model, **arguments, expected={"labels-in-range": "later"}, seconds=0)
    assert meant.exit_code == 0 and "expected: later" in str(meant)


def test_a_reason_is_asked_for() -> None:
    with pytest.raises(UsageError, match="reason"):
        diagnose(with_softmax(), numbers(), classes(), expected={"labels-in-range": " "})


def test_faults_come_first_and_bear_the_place() -> None:
    program = Program(with_softmax(), Data(numbers(), classes()), epochs=0, place="train.py:7")
    findings = list(examine(program))
    assert findings[0].verdict == "✗" and findings[0].place == "train.py:7"
    order = ["✗?note✓".index(f.verdict[0]) for f in findings]
    assert order == sorted(order)


def test_one_fault_behind_another_is_found_on_the_mended_copy() -> None:
    model = with_softmax(metrics=["binary_accuracy"])
    checks = [f.check for f in diagnose(model, numbers(), classes() + 1, seconds=0).faults]
    assert checks == ["labels-in-range", "metric-fits-problem"]


def test_a_repair_that_does_not_help_is_said_to_leave_the_fault(monkeypatch) -> None:
    from crosscheck.diagnose.checks import _label_range

    monkeypatch.setattr(_label_range, "shifted", lambda output, by: lambda program: program)
    (fault,) = labelled(classes() + 1).faults
    assert "it remains" in fault.tried


def test_a_check_that_fails_hides_no_other(monkeypatch) -> None:
    from crosscheck.diagnose import _diagnose

    def broken(program: Program) -> Any:
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(_diagnose, "EXACT", (broken, *_diagnose.EXACT))
    findings = labelled(classes() + 1)
    assert [f.check for f in findings.faults] == ["labels-in-range"]
    assert any(f.check == "broken" and f.verdict == "?" for f in findings)


def test_a_model_that_is_not_compiled_is_refused() -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    with pytest.raises(UsageError, match="not compiled"):
        diagnose(model, numbers(), classes())


# --- data in other forms ----------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return numbers(rows=8), classes(rows=8) + 1


def batches() -> Any:
    while True:
        yield numbers(rows=8), classes(rows=8) + 1


@pytest.mark.parametrize("source", [Batches, batches])
def test_a_stream_is_read_in_part_and_that_is_said(source: Any) -> None:
    findings = diagnose(with_softmax(), source(), seconds=0)
    assert [f.check for f in findings.faults] == ["labels-in-range"]
    assert any("first 160 rows" in text for text in findings.skipped)


def test_frames_are_read_as_fit_reads_them() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = pandas.DataFrame(numbers()), pandas.Series(classes() + 1)
    findings = diagnose(with_softmax(), x, y, seconds=0)
    assert [f.check for f in findings.faults] == ["labels-in-range"]


# --- the callback -----------------------------------------------------------------------------------------


def fitted(callback: Diagnose, *data: Any, **more: Any) -> Diagnose:
    model = with_softmax()
    model.fit(*data, epochs=1, verbose=0, callbacks=[callback], **more)
    return callback


def test_the_callback_sees_the_data_of_the_call_and_its_place() -> None:
    said: list[str] = []
    callback = fitted(
        Diagnose(printed=said.append), numbers(), classes(), class_weight={0: 1.0, 1: 2.0, 2: 3.0}
    )
    assert callback.findings is not None
    (fault,) = callback.findings.faults
    assert fault.check == "class-weight" and fault.place.startswith("test_diagnose_report.py:")
    assert "class-weight" in said[0]


def test_the_callback_reads_no_generator_and_says_so() -> None:
    said: list[str] = []

    def healthy() -> Any:
        while True:
            yield numbers(rows=8), classes(rows=8)

    callback = fitted(Diagnose(printed=said.append), healthy(), steps_per_epoch=2, shuffle=False)
    assert callback.findings is None and "generator" in said[0]
    assert (
        fitted(
            Diagnose(numbers(), classes(), printed=None), healthy(), steps_per_epoch=2, shuffle=False
        ).findings
        is not None
    )


def test_the_callback_stops_where_it_is_told_to() -> None:
    with pytest.raises(UsageError, match="class"):
        fitted(Diagnose(printed=None, stop=True), numbers(), classes(), class_weight={0: 1.0, 1: 2.0})


# --- a saved model ----------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    model = with_softmax(metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=with_nan(), y=classes())
    return str(tmp_path / "model.keras"), str(tmp_path / "data.npz")


def on_the_command_line(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        cli, ["diagnose", *arguments, "--backend", keras.backend.backend()], standalone_mode=False
    )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return int(result.return_value), result.output


def test_a_saved_model_and_arrays(files: tuple[str, str]) -> None:
    code, text = on_the_command_line(*files)
    assert code == 1 and "inputs-are-finite" in text and "np.nan_to_num" in text


def test_json_and_markdown_of_a_saved_model(files: tuple[str, str]) -> None:
    code, text = on_the_command_line(*files, "--json")
    assert code == 1 and json.loads(text)["findings"][0]["check"] == "inputs-are-finite"
    assert on_the_command_line(*files, "--markdown")[1].startswith("### ")


def test_what_is_expected_on_the_command_line(files: tuple[str, str]) -> None:
    assert on_the_command_line(*files, "--expect", "inputs-are-finite=later")[0] == 0


def test_a_missing_file_and_one_without_x(files: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        on_the_command_line(files[0], str(tmp_path / "no.npz"))
    np.savez(tmp_path / "odd.npz", z=numbers())
    with pytest.raises(UsageError, match="no array x"):
        on_the_command_line(files[0], str(tmp_path / "odd.npz"))


def test_every_fault_has_a_row_in_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "diagnose.md").read_text(encoding="utf-8")
    assert not {check for check, *_ in FAULTS.values() if f"`{check}`" not in page}


def test_what_is_expected_and_not_there_is_told() -> None:
    findings = labelled(np.arange(96) % 3, expected={"nonsense": "why not"})
    assert findings.exit_code == 0 and "Expected, and not found: nonsense." in findings.skipped


def test_a_wrong_metric_does_not_keep_copies_from_being_trained(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(_diagnose, "by_trials", lambda program, seconds: asked.append(seconds) or Trials(()))
    for check in ("metric-fits-problem", "inputs-accepted"):
        _diagnose.trained(Mending(None, [replace(FAULT, check=check)]), 3.0)
    assert asked == [3.0]
