"""What the documentation says runs: every example in a docstring and in a tutorial; every command exists."""

from __future__ import annotations

import doctest
import importlib
import itertools
import json
import math
import re
import shlex
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import click
import keras
import numpy as np
import pytest

from crosscheck import data
from crosscheck.cli.main import cli
from crosscheck.report import records, summary

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
TUTORIALS = [page for page in PAGES if page.parent.name == "docs" and page.name != "api.md"]
OWN_FILE = re.compile(r"# (\w+)\.py\n")  # at the head of a block: a file that the reader is to write
WITH_EXAMPLES = [
    module
    for file in sorted((ROOT / "suite").rglob("*.py"))
    if ">>>" in file.read_text(encoding="utf-8")
    for module in [".".join(file.relative_to(ROOT / "suite").with_suffix("").parts)]
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_there_are_examples_and_tutorials() -> None:
    assert len(WITH_EXAMPLES) > 8 and len(TUTORIALS) >= 4


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"np": np, "keras": keras, "math": math})
    assert found.attempted and not found.failed


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_the_code_of_a_tutorial_runs_from_top_to_bottom(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    names: dict[str, object] = {"__name__": page.stem}
    with mock.patch.dict(data.CATALOGUE):  # entries that a page adds
        for i, code in enumerate(blocks(page, "python")):
            if file := OWN_FILE.match(code):
                (tmp_path / f"{file[1]}.py").write_text(code, encoding="utf-8")
                sys.modules.pop(file[1], None)
            else:
                exec(compile(code, f"{page.name}, block {i + 1}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_is_told_exists(page: Path) -> None:
    for line in "\n".join(blocks(page, "(?:sh|console)")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["crosscheck"] and len(words) > 1:
            command = cli.get_command(click.Context(cli), words[1])
            assert command, line
            words = [*itertools.takewhile(lambda word: word != "--", words)]  # what follows is a script's own
            options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            assert {word.split("=")[0] for word in words if word.startswith("-")} <= options, line
        if words[:1] == ["make"]:
            targets = (ROOT / "Makefile").read_text(encoding="utf-8")
            studies = {path.stem for path in (ROOT / "studies").glob("*.py")}
            studies |= {file[1] for code in blocks(page, "python") if (file := OWN_FILE.match(code))}
            for target in (word for word in words[1:] if "=" not in word):
                assert target in studies or re.search(rf"^{target}:", targets, re.MULTILINE), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_between_files_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_api_page_says_what_the_docstrings_say(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    build = importlib.import_module("build")
    assert build.PAGE.read_text(encoding="utf-8") == build.page(), "run `python docs/build.py`"


# --- what the README says of the committed results -------------------------------------------------------


def test_the_readme_counts_the_sentences_as_the_results_do() -> None:
    chapter = json.loads((ROOT / "results" / "chapter.json").read_text())
    count = Counter(sentence["verdict"] for sentence in chapter["sentences"])
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"{count['true']} are true as they stand, {count['true if']} under a condition" in readme
    assert f"{count['half']} half, {count['false']} false; {count['open']} is open" in readme


def test_the_readme_says_how_sure_the_results_are() -> None:
    found = [records.read(file) for file in sorted((ROOT / "results").glob("*/verdict.json"))]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert summary.chance_of_error(found, anew=False) <= 0.01
    assert f"and {summary.chance_of_error(found):.1%} with those".replace("%", " %") in readme
