"""Everyday use: what `list`, `show`, `completion` and `run` print, for eyes and for scripts."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import in_process
import pytest
import throwaway

from crosscheck.claims import Unit, register
from crosscheck.cli import list as listing
from crosscheck.cli import options, show
from crosscheck.running import plan, rerun

RESULTS = throwaway.ROOT / "results"
ESCAPE = "\x1b["


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Project:
    project = throwaway.lay_out(tmp_path_factory.mktemp("everyday"))
    project.crosscheck("run", "--jobs", 1, "--quiet")
    return project


# --- list -------------------------------------------------------------------------------------------


def test_the_list_has_every_study_with_its_verdict_in_plain_columns() -> None:
    ran = in_process.crosscheck("list", "--results", RESULTS)
    all_lines = ran.out.splitlines()
    lines = all_lines[-len(register.NAMES) :]
    assert all_lines[-len(register.NAMES) - 1].split() == ["study", "verdict", "checks", "claim"]
    assert [line.split()[0] for line in lines] == list(register.NAMES)
    for name, line in zip(register.NAMES, lines, strict=True):
        record = json.loads((RESULTS / name / "verdict.json").read_text())
        assert line.split()[1] == record["verdict"] and record["title"] in line
    assert ESCAPE not in ran.out


def test_the_list_for_scripts_counts_the_checks() -> None:
    lines = json.loads(in_process.crosscheck("list", "--results", RESULTS, "--json").out)["studies"]
    assert [line["study"] for line in lines] == list(register.NAMES)
    for line in lines:
        assert sum(line["checks"].values()) == len(register.load(line["study"]).CHECKS)


def test_what_is_not_judged_or_cannot_be_read_is_listed_as_such(tmp_path: Path) -> None:
    line = lambda: listing.line_of("saturation", "title", tmp_path)
    assert line().verdict == "—"
    (tmp_path / "saturation").mkdir()
    for broken in ("{", "[]", '{"verdict": "holds"}', '{"verdict": "holds", "checks": [1]}', "[" * 100_000):
        (tmp_path / "saturation" / "verdict.json").write_text(broken)
        assert line().verdict == "unreadable"


def in_a_terminal(*command: str, **environment: str) -> str:
    """What a command prints where its output is a terminal."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "crosscheck", *command],
        cwd=throwaway.ROOT,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **environment},
        stdout=follower,
        stderr=subprocess.STDOUT,
    )
    os.close(follower)
    parts = []
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed: that is how a terminal ends on Linux
            break
        if not part:
            break
        parts.append(part)
    os.close(leader)
    assert child.wait() == 0
    return b"".join(parts).decode()


def test_colour_and_rules_are_for_a_terminal_and_no_color_is_honoured() -> None:
    shown = in_a_terminal("list", NO_COLOR="")
    assert "┃" in shown and "\x1b[34mscoped" in shown
    plain = in_a_terminal("list", NO_COLOR="1")
    assert "┃" in plain and "\x1b[34m" not in plain
    assert "\x1b[34m" in in_a_terminal("show", "log_base", NO_COLOR="")
    assert ESCAPE not in in_a_terminal("show", "log_base", NO_COLOR="1")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`crosscheck list | head -1`: the rest finds nobody who reads it, and says nothing about that."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "crosscheck", "list"]
    ran = subprocess.run(command, cwd=throwaway.ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (1, "")


# --- studies by pattern -----------------------------------------------------------------------------


def test_a_pattern_stands_for_the_studies_that_it_matches() -> None:
    assert options.studies_matching(("ood_*",)) == ("ood_overconfidence", "ood_energy", "ood_published")
    assert options.studies_matching(("*", "saturation")) == register.NAMES == options.studies_matching(())
    assert options.studies_matching(("ood_energy", "sat?ration")) == ("saturation", "ood_energy")


@pytest.mark.parametrize("command", ["list", "run", "verify"])
def test_a_pattern_that_nothing_matches_is_refused(command: str) -> None:
    ran = in_process.crosscheck(command, "nothing_*", *(["--reference", RESULTS] * (command == "verify")))
    assert in_process.refused(ran) and ran.code == 2 and "'nothing_*'" in ran.err


# --- show -------------------------------------------------------------------------------------------


def test_show_prints_claim_formula_and_every_check_with_its_interval() -> None:
    out = in_process.crosscheck("show", "saturation", "--results", RESULTS).out
    record = json.loads((RESULTS / "saturation" / "verdict.json").read_text())
    assert record["title"] in out and record["formula"] in out and str(RESULTS / "saturation") in out
    squeezed = " ".join(out.split())
    assert record["claim"] in squeezed and record["correct"] in squeezed
    for check in record["checks"]:
        assert f"{check['id']}: {check['statement']}" in out
        lo, hi = check["interval"]
        if lo != hi:
            assert f"[{lo:.5g}, {hi:.5g}]" in squeezed


def test_show_knows_a_claim_that_is_not_judged(tmp_path: Path) -> None:
    ran = in_process.crosscheck("show", "surprise", "--results", tmp_path)
    assert ran.code == 0 and "not judged yet: `crosscheck run surprise`" in ran.out
    told = json.loads(in_process.crosscheck("show", "surprise", "--results", tmp_path, "--json").out)
    assert told["verdict"] is None and told["figure"] is None and told["formula"]


def test_show_for_scripts_is_the_record_and_where_the_figure_is() -> None:
    told = json.loads(in_process.crosscheck("show", "saturation", "--results", RESULTS, "--json").out)
    assert Path(told.pop("figure")).is_file() and told.pop("verdict_from") == "results"
    assert told == json.loads((RESULTS / "saturation" / "verdict.json").read_text())


def test_a_figure_is_opened_where_there_is_one_and_a_display(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(show.click, "launch", lambda path: opened.append(path) or 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    assert in_process.crosscheck("show", "saturation", "--results", RESULTS, "--open").code == 0
    assert opened == [str(RESULTS / "saturation" / "figure.svg")]
    none = in_process.crosscheck("show", "saturation", "--results", tmp_path, "--open")
    assert none.code == 2 and "no figure to open" in none.err
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    blind = in_process.crosscheck("show", "saturation", "--results", RESULTS, "--open")
    assert blind.code == 2 and "no display" in blind.err and len(opened) == 1


# --- completion -------------------------------------------------------------------------------------


def completed(*words: str) -> list[str]:
    """What the shell's script is told when the last word is to be completed."""
    environment = {"_CROSSCHECK_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("crosscheck", *words))}
    ran = subprocess.run(
        [sys.executable, "-m", "crosscheck"],
        cwd=throwaway.ROOT,
        env={**os.environ, **environment, "COMP_CWORD": str(len(words))},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split(",")[1] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    ran = in_process.crosscheck("completion", shell)
    assert ran.code == 0 and f"_CROSSCHECK_COMPLETE={shell}_complete" in ran.out


def test_commands_studies_and_data_sets_are_completed() -> None:
    assert completed("ver") == ["verify"]
    assert completed("run", "ood") == ["ood_overconfidence", "ood_energy", "ood_published"]
    assert completed("show", "sat") == ["saturation"]
    assert completed("data", "mni") == ["mnist"]
    assert "--scale" in completed("run", "--s")


# --- run --------------------------------------------------------------------------------------------


def test_a_run_for_scripts_prints_json_alone(project: throwaway.Project) -> None:
    folders = ("--results", "fresh", "--store", "fresh/store")
    ran = project.crosscheck("run", "steady", "--json", *folders)
    told = json.loads(ran.stdout)
    assert told["studies"] == {"steady": "holds"} and told["finished"] == 1 and not told["shortcomings"]
    again = json.loads(project.crosscheck("run", "steady", "--json", *folders).stdout)
    assert again == {**told, "finished": 0}


def test_quiet_is_silent_and_verbose_tells_of_every_unit(project: throwaway.Project) -> None:
    folders = ("--results", "loud", "--store", "loud/store")
    quiet = project.crosscheck("run", "steady", "--quiet", *folders)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    (project.folder / "loud" / "steady" / "table.md").unlink()
    verbose = project.crosscheck("run", "steady", "--verbose", *folders)
    assert "[1/1] steady/measure  seeds 50000–50015: reused" in verbose.stderr


def test_quiet_still_tells_what_fell_short(project: throwaway.Project) -> None:
    (project.folder / "raise").touch()
    try:
        ran = project.crosscheck("run", "moody", "-q", "--store", "other", "--results", "short", code=1)
    finally:
        (project.folder / "raise").unlink()
    assert ran.stdout == "" and "in a bad mood" in ran.stderr and len(ran.stderr.splitlines()) == 1


# --- seeds ------------------------------------------------------------------------------------------


def test_another_number_of_seeds_leaves_the_reference_alone_and_is_recorded(
    project: throwaway.Project,
) -> None:
    before = project.files()
    project.crosscheck("run", "steady", "--seeds", 12)
    assert project.files() == before
    folder = project.folder / "build" / "standard-12-seeds"
    told = json.loads((folder / "steady" / "verdict.json").read_text())
    assert told["provenance"]["seed_count"] == 12 and told["provenance"]["seeds"] == "50000–50011"
    assert told["checks"][0]["n"] == 12
    usual = json.loads((project.folder / "results" / "steady" / "verdict.json").read_text())
    assert "seed_count" not in usual["provenance"]
    (again,) = rerun.requests(rerun.recorded(folder), Path("scratch"), None)
    assert again.seeds == 12, "`verify` runs it with as many"


@pytest.mark.parametrize(
    ("scale", "seeds", "expected"),
    [
        ("standard", None, "results"),
        ("full", None, "results"),
        ("smoke", None, "build/smoke"),
        ("standard", 64, "build/standard-64-seeds"),
        ("smoke", 64, "build/smoke-64-seeds"),
    ],
)
def test_results_that_are_no_reference_have_a_folder_of_their_own(
    scale: str, seeds: int | None, expected: str
) -> None:
    assert options.results_folder(None, scale, seeds) == Path(expected)
    assert options.results_folder(Path("mine"), scale, seeds) == Path("mine")


def test_seeds_replace_those_of_every_measurement_and_parts_stay_parts() -> None:
    whole, exact = Unit("s", "train", {"a": 1}, (0, 1, 2), cost=3.0), Unit("s", "measure")
    parts = [Unit("s", "split", {}, (2 * i, 2 * i + 1)) for i in range(3)]
    units = plan.with_seeds([whole, exact, *parts], 5)
    assert [unit.seeds for unit in units] == [(0, 1, 2, 3, 4), (), (0, 1), (2, 3), (4,)]
    assert units[0] == dataclasses.replace(whole, seeds=tuple(range(5)), cost=5.0)
    assert plan.with_seeds([whole, exact, *parts], None) == [whole, exact, *parts]


@pytest.mark.parametrize("name", register.NAMES)
def test_every_study_takes_another_number_of_seeds(name: str) -> None:
    units = plan.with_seeds(register.load(name).units("standard"), 64)
    assert {len(unit.seeds) for unit in units} <= {0, 64}


def test_a_stamp_of_other_seeds_is_no_stamp() -> None:
    from crosscheck.running import stamp

    request = plan.Request(("surprise",), Path("results"), Path("store"))
    assert stamp.path_of(request) != stamp.path_of(dataclasses.replace(request, seeds=64))
