"""Two Kerases side by side: what became of every failure, from saved audits and from another Python."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from crosscheck.audit import version_tables, versions, written_up
from crosscheck.audit.keras_losses import KERAS_LOSSES, configurations
from crosscheck.audit.versions import Answer, Card
from crosscheck.cli.main import cli
from crosscheck.errors import UsageError

FAILED, PASSED = Answer("axis", "failed", "here", 1.0, 2.0), Answer("axis", "passed")


def card(answers: list[Answer], keras: str = "3.15.1", **config: object) -> Card:
    return Card("keras.losses:Hinge", dict(config), "binary", "tensorflow", keras, answers)


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [
        (FAILED, PASSED, "mended"),
        (PASSED, FAILED, "new"),
        (FAILED, FAILED, "unchanged"),
        (FAILED, Answer("axis", "failed", "here", 1.5, 2.0), "changed"),
        (FAILED, Answer("axis", "failed", "there", 1.0, 2.0), "changed"),
        (FAILED, Answer("axis", "not applicable"), "no longer asked"),
        (FAILED, Answer("axis", "could not look"), "no longer asked"),
        (Answer("axis", "not applicable"), FAILED, "new"),
        (PASSED, Answer("axis", "could not look"), None),
        (Answer("axis", "expected"), PASSED, None),
    ],
)
def test_what_became_of_a_failure(before: Answer, after: Answer, fate: str | None) -> None:
    assert versions.fate_of(before, after) == fate


def test_a_check_that_one_side_never_asks_is_not_mended() -> None:
    (change,) = versions.changes_of(card([FAILED]), card([]))
    assert change.fate == "no longer asked"


def saved(folder: Path, name: str, cards: list[Card]) -> Path:
    from msgspec.json import encode

    file = folder / f"{name}.json"
    file.write_bytes(encode(cards))
    return file


def test_two_saved_audits_on_the_command_line(tmp_path: Path) -> None:
    config = Answer("config", "passed")
    old = saved(tmp_path, "old", [card([FAILED, config]), card([FAILED], delta=1.0)])
    broken = Answer("config", "failed", "x | y", "nan")
    new = saved(tmp_path, "new", [card([PASSED, broken], "3.16"), card([FAILED], "3.16", q=2)])
    told = ["audit", "--against", str(old), "--against", str(new), "--out", str(tmp_path)]
    ran = CliRunner().invoke(cli, told, standalone_mode=False)
    assert ran.return_value == 1 and "1 mended, 1 new" in ran.output, ran.output
    record = json.loads((tmp_path / "versions.json").read_text(encoding="utf-8"))
    assert [change["fate"] for change in record["changes"]] == ["mended", "new"]
    assert record["compared"] == 1 and record["only_before"] == ["Hinge(delta=1.0), binary"]
    page = (tmp_path / "versions.md").read_text(encoding="utf-8")
    assert "Keras 3.15.1 on tensorflow beside Keras 3.16 on tensorflow" in page
    assert "| axis | other arguments | 1 | – |" in page and "`Hinge(q=2), binary`" in page


def test_what_is_no_audit_and_no_python_is_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    with pytest.raises(UsageError, match="no Python that runs"):
        versions.audit_elsewhere(text, [], "tensorflow")
    with pytest.raises(UsageError, match="not an audit"):
        versions.read_side(saved(tmp_path, "empty", []))
    three = [part for _ in range(3) for part in ("--against", str(saved(tmp_path, "one", [card([PASSED])])))]
    ran = CliRunner().invoke(cli, ["audit", *three], standalone_mode=False)
    assert isinstance(ran.exception, UsageError) and "compares two" in str(ran.exception)


def test_a_python_that_lacks_what_it_needs_says_so(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')  # without site-packages and PYTHONPATH
    bare.chmod(0o755)
    said = ["the audit …"]
    with pytest.raises(UsageError, match=r"No audit can run under .*: .*No module named .* needs Keras"):
        versions.sides([Path(sys.executable), bare], [], "tensorflow", said.append)
    assert said == ["the audit …"], "it is found out before the long audit of this Python"


def python_with(folder: Path, keras: str, tensorflow: str = "2") -> Path:
    """A Python whose Keras and TensorFlow say that they are of these versions."""
    for package, version in (("keras", keras), ("tensorflow", tensorflow)):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(f"__version__ = {version!r}\n")
    command = folder / "crosscheck" / "audit" / "command.py"
    command.parent.mkdir(parents=True)
    for file in (command, command.with_name("__init__.py"), command.parents[1] / "__init__.py"):
        file.write_text("")
    python = folder / "python"
    path = f'PYTHONPATH="{folder}:$PYTHONPATH"'
    python.write_text(f'#!/bin/sh\nexport {path}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def test_the_same_keras_twice_is_refused_before_anything_is_audited(tmp_path: Path) -> None:
    one, same = python_with(tmp_path / "one", "3.15.1"), python_with(tmp_path / "same", "3.15.1")
    with pytest.raises(UsageError, match=r"both have Keras 3\.15\.1 on tensorflow 2: there is nothing to"):
        versions.require_different([one, same], "tensorflow")
    versions.require_different([one, python_with(tmp_path / "new", "3.16")], "tensorflow")
    versions.require_different([one, python_with(tmp_path / "tf", "3.15.1", "3")], "tensorflow")


def test_saved_audits_of_the_same_keras_are_compared_with_a_warning(tmp_path: Path) -> None:
    text = versions.to_text(versions.compare([card([FAILED])], [card([PASSED])]))
    assert text.startswith("Both audits are of Keras 3.15.1 on tensorflow") and "1 mended" in text
    other = versions.to_text(versions.compare([card([FAILED])], [card([PASSED], "3.16")]))
    assert other.startswith("Keras 3.15.1 on tensorflow against Keras 3.16")


def test_the_page_names_what_it_was_run_with() -> None:
    told = versions.packages_under(Path(sys.executable), "tensorflow")
    keras, numpy = map(importlib.metadata.version, ("keras", "numpy"))
    assert (
        told.startswith(f"Python {platform.python_version()}, keras {keras}, ") and f"numpy {numpy}" in told
    )
    comparison = structs.replace(
        versions.compare([card([FAILED])], [card([PASSED], "3.16")]), run_with=[told]
    )
    assert f"\n- {told}\n" in version_tables.to_markdown(comparison, [])


def test_scripts_of_defects_run_in_both_and_are_compared(tmp_path: Path) -> None:
    folder = tmp_path / "defects"
    folder.mkdir()
    lines = ["import sys", "print(sys.flags.optimize)", "if sys.flags.optimize: raise ValueError(object)"]
    script = "\n".join(["```python", *lines, "```", ""])
    (folder / "one.md").write_text(f"# It prints\n\n{script}")
    (folder / "none.md").write_text("# It has no script\n")
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} -O "$@"\n')
    other.chmod(0o755)
    (printed,) = written_up.run_scripts(folder, [Path(sys.executable), other], "tensorflow", print)
    said = (printed.before, printed.after, printed.finding)
    assert said == ("0", "1\nValueError: <class 'object'>", "otherwise")
    comparison = versions.compare([card([FAILED])], [card([FAILED], "3.16")])
    page = version_tables.to_markdown(comparison, [printed])
    assert (
        "| [It prints](defects/one.md) | tensorflow | **otherwise** |" in page
        and "ValueError: <class 'object'>" in page
    )


def test_a_script_runs_on_the_backends_that_its_title_names(tmp_path: Path) -> None:
    """On another one it shows no defect, so that printing the same there says nothing of it."""
    folder = tmp_path / "said"
    folder.mkdir()
    script = "```python\nimport os\nprint(os.environ['KERAS_BACKEND'])\n```\n"
    (folder / "one.md").write_text(f"# Halved on JAX, and not on PyTorch\n\n{script}")
    (folder / "two.md").write_text(f"# Anywhere\n\n{script}")
    printed = list(written_up.run_scripts(folder, [Path(sys.executable)] * 2, "tensorflow", print))
    assert (
        [one.before for one in printed] == [one.backend for one in printed] == ["jax", "torch", "tensorflow"]
    )


def test_a_script_that_lacks_a_module_was_not_run(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("# It needs it\n\n```python\nimport no_such_module\n```\n")
    (printed,) = written_up.run_scripts(tmp_path, [Path(sys.executable)] * 2, "tensorflow", print)
    assert printed.before == printed.after and printed.finding == "not run"
    page = version_tables.to_markdown(versions.compare([card([FAILED])], [card([FAILED], "3.16")]), [printed])
    assert "| tensorflow | not run |" in page


def test_only_losses_and_arguments_that_this_keras_has_are_asked() -> None:
    import keras

    assert all(hasattr(keras.losses, entry.name) for entry in KERAS_LOSSES)
    for name, _, config in configurations():
        getattr(keras.losses, name)(**config)


@pytest.mark.long
def test_a_loss_under_this_python_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    audit = ["audit", "keras.losses:Poisson", "--kind", "binary"]
    saved = CliRunner().invoke(cli, [*audit, "--json"], standalone_mode=False)
    Path("saved.json").write_text(saved.stdout, encoding="utf-8")
    told = [*audit, "--against", "saved.json", "--against", sys.executable]
    ran = CliRunner().invoke(cli, told, standalone_mode=False)
    assert ran.return_value == 0 and "0 mended, 0 new, 0 changed" in ran.output, ran.output
    assert "Both audits are of Keras" in ran.output
