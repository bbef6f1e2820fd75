"""From request to report on a tiny project: what is run, reused, written, left alone, and told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import copies
import pytest
import throwaway

from crosscheck import _child
from crosscheck.claims import Unit
from crosscheck.running import pipeline, plan, provenance


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Project:
    """A project in which everything has been run; copy it before changing anything."""
    project = throwaway.lay_out(tmp_path_factory.mktemp("finished"))
    project.crosscheck("run", "--jobs", 1)
    return project


@pytest.fixture
def project(finished: throwaway.Project) -> throwaway.Project:
    """The finished project, put back as it was after the test."""
    kept = finished.folder.with_name("kept")
    shutil.copytree(finished.folder, kept, symlinks=True)
    yield finished
    shutil.rmtree(finished.folder)
    kept.rename(finished.folder)


def verdict(project: throwaway.Project, name: str) -> dict:
    return json.loads((project.folder / "results" / name / "verdict.json").read_text())


def complaints(ran: subprocess.CompletedProcess) -> list[str]:
    return [line for line in ran.stderr.splitlines() if line.startswith("crosscheck: ")]


def test_a_run_leaves_verdict_table_figure_and_report(finished: throwaway.Project) -> None:
    wanted = {"verdict.json", "table.csv", "table.md", "table.tex", "figure.svg", "figure.png"}
    for name in throwaway.MOODS:
        assert {path.name for path in (finished.folder / "results" / name).iterdir()} == wanted
        assert verdict(finished, name)["verdict"] == "holds"
    assert (finished.folder / "results" / "README.md").exists()
    assert (finished.folder / "results" / "report.html").exists()


def test_the_provenance_says_under_which_circumstances(finished: throwaway.Project) -> None:
    told = verdict(finished, "steady")["provenance"]
    assert told["versions"]["keras"] == provenance.installed("keras")
    assert told["backend"] == "tensorflow"
    assert told["scale"] == "standard"
    assert told["seeds"] == "50000–50015"
    assert "logical cores" in told["device"]
    assert told["seconds"] >= 0.1
    assert told["error_rate"] == 0.01
    assert told["tails"] == 2 * 2 * len(throwaway.MOODS)  # settings × ends of an interval × checks
    assert told["level"] == 1 - 2 * told["error_rate"] / told["tails"]


def test_a_second_run_does_nothing_and_imports_nothing_heavy(project: throwaway.Project) -> None:
    before, measured = project.files(), project.measured
    ran = project.crosscheck("run", start=copies.afresh, PYTHONPROFILEIMPORTTIME="1")
    assert ran.stdout.startswith("Nothing to do")
    assert (project.files(), project.measured) == (before, measured)
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "crosscheck.running.stamp" in imported
    assert not imported & {
        "tensorflow",
        "keras",
        "pandas",
        "matplotlib",
        "scipy",
        "crosscheck.studies.steady",
    }


def test_a_run_of_one_study_leaves_the_stamp_of_all(project: throwaway.Project) -> None:
    assert "0 units run" in project.crosscheck("run", "steady").stdout
    assert "Nothing to do" in project.crosscheck("run", "steady").stdout
    assert "Nothing to do" in project.crosscheck("run").stdout


def test_harmed_results_come_back_without_measuring(project: throwaway.Project) -> None:
    before, measured, results = project.files(), project.measured, project.folder / "results"
    (results / "README.md").unlink()
    (results / "steady" / "figure.svg").unlink()
    (results / "moody" / "table.csv").write_text("changed")
    forged = results / "steady" / "verdict.json"
    forged.write_text(forged.read_text().replace('"holds"', '"fails"'))
    assert "0 units run, 2 reused" in project.crosscheck("run").stdout
    assert (project.files(), project.measured) == (before, measured)


@pytest.mark.parametrize("file", ["README.md", "report.html", "steady/verdict.json", "moody/figure.png"])
@pytest.mark.parametrize("harm", ["changed", "deleted"])
def test_any_harmed_file_breaks_the_stamp(
    project: throwaway.Project, monkeypatch: pytest.MonkeyPatch, file: str, harm: str
) -> None:
    monkeypatch.setattr(_child, "PACKAGE", project.folder / "crosscheck")
    monkeypatch.setenv("TFDS_DATA_DIR", str(project.folder / "data"))
    request = plan.Request(tuple(throwaway.MOODS), project.folder / "results", project.folder / ".store")
    assert pipeline.up_to_date(request)
    harmed = project.folder / "results" / file
    harmed.write_bytes(harmed.read_bytes() + b" ") if harm == "changed" else harmed.unlink()
    assert not pipeline.up_to_date(request)


def test_the_same_findings_leave_the_results_as_they_are(project: throwaway.Project) -> None:
    """Measured anew at another commit and in other time: neither is worth a change of the results."""
    told = verdict(project, "steady")["provenance"]
    file = project.folder / "results" / "steady" / "verdict.json"
    file.write_text(file.read_text().replace(f'"seconds": {told["seconds"]}', '"seconds": 99.5'))
    project.crosscheck("report")
    before, measured = project.files(), project.measured
    assert b"99.5" in before["results/steady/verdict.json"]
    shutil.rmtree(project.folder / ".store")
    project.crosscheck("run")
    assert project.measured == 2 * measured
    assert project.files() == before


def test_a_broken_stamp_costs_a_second_look_only(project: throwaway.Project) -> None:
    for file in (project.folder / ".store" / "stamps").iterdir():
        file.write_text("[]")
    told = project.crosscheck("run").stdout
    assert "0 units run, 2 reused" in told
    assert "Covered: 0 of 1 data set, 1 of 1 backend. Not run here: mnist." in told
    assert verdict(project, "steady")["checks"][0]["absent"] == ["mnist"]
    assert "Nothing to do" in project.crosscheck("run").stdout


def test_a_unit_that_yields_nan_leaves_its_check_undecided(project: throwaway.Project) -> None:
    shutil.rmtree(project.folder / ".store")
    (project.folder / "nan").write_text("")
    first, *others = complaints(project.crosscheck("run", "moody", code=1))
    assert "gave NaN: moody/measure" in first
    assert "seed 50000" in first
    assert all("gave NaN: moody/measure" in line for line in others)
    assert verdict(project, "moody")["verdict"] == "undecided"


def test_a_unit_that_raises_spares_the_others_and_is_tried_again(project: throwaway.Project) -> None:
    shutil.rmtree(project.folder / ".store")
    (project.folder / "raise").write_text("")
    (line,) = complaints(project.crosscheck("run", code=1))
    assert "seeds 50000–50015" in line
    assert "in a bad mood" in Path(project.folder / line.split("traceback in ")[1].rstrip(")")).read_text()
    assert verdict(project, "moody")["verdict"] == "undecided"
    assert verdict(project, "steady")["verdict"] == "holds"
    (project.folder / "raise").unlink()
    assert "1 unit run, 1 reused" in project.crosscheck("run").stdout
    assert verdict(project, "moody")["verdict"] == "holds"


def test_an_invalid_check_and_a_missing_figure_are_told_each_time(project: throwaway.Project) -> None:
    study = project.folder / "studies" / "steady.py"
    text = study.read_text().replace("value=1 + noise", "value=noise")
    study.write_text(text.replace('ax.plot(rows["value"])', 'ax.plot(rows["no such"])'))
    for _ in range(2):
        told = "".join(complaints(project.crosscheck("run", "steady", code=1)))
        assert "the control did not fail" in told
        assert "its figure could not be made" in told
    assert verdict(project, "steady")["verdict"] == "invalid"


def test_an_undecided_control_is_told_with_the_seeds_that_would_decide(project: throwaway.Project) -> None:
    study = project.folder / "studies" / "steady.py"
    study.write_text(study.read_text().replace("value=1 + noise", "value=0.15 + 1e2 * (noise - 0.0075)"))
    (line,) = complaints(project.crosscheck("run", "steady", code=1))
    assert re.search(r"the control did not fail: .* \(undecided; about \d+ fresh seeds would decide\)", line)


def test_a_claim_that_fails_is_a_finding_and_no_error(project: throwaway.Project) -> None:
    study = project.folder / "studies" / "steady.py"
    study.write_text(study.read_text().replace("claim = 0.001 *", "claim = 2 + 0.001 *"))
    project.crosscheck("run", "steady")
    assert verdict(project, "steady")["verdict"] == "fails"


def test_verify_agrees_with_itself_and_sees_what_moved(project: throwaway.Project) -> None:
    scratch = project.folder / "scratch"
    told = project.crosscheck("verify", "--reference", "results", "--scratch", scratch).stdout
    assert ", 0 moved" in told and "every table and figure is the same to the byte" in told
    moved = scratch / "results" / "steady" / "verdict.json"
    moved.write_text(moved.read_text().replace('"verdict": "holds"', '"verdict": "fails"'))
    told = project.crosscheck(
        "verify", "--reference", "results", "--against", scratch / "results", code=1
    ).stdout
    assert "steady/mean" in told
    assert "holds → fails" in told


def test_verify_sees_a_figure_that_comes_out_different_each_time(project: throwaway.Project) -> None:
    study = project.folder / "studies" / "steady.py"
    study.write_text(study.read_text().replace('ax.plot(rows["value"])', "ax.set_title(os.urandom(4).hex())"))
    project.crosscheck("run")
    told = project.crosscheck("verify", "steady", "--reference", "results", code=1).stdout
    assert "these differ: steady/figure.png, steady/figure.svg" in told


def test_a_quick_look_leaves_the_reference_alone(project: throwaway.Project) -> None:
    before = project.files()
    project.crosscheck("run", "steady", "--scale", "smoke")
    assert project.files() == before
    assert (project.folder / "build" / "smoke" / "README.md").exists()


def test_seeds_are_told_as_ranges() -> None:
    units = [Unit("s", "m", seeds=(0, 1, 2)), Unit("s", "m", seeds=(3, 7)), Unit("s", "m")]
    assert provenance.seeds(units) == "0–3, 7"
    assert provenance.seeds([]) == ""


def test_git_names_the_commit_and_whether_the_code_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "cli.py").write_text("")
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    for command in (["init"], ["add", "."], [*who, "commit", "-m", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, capture_output=True, check=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path.resolve())
    clean = provenance.git()
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "new").write_text("")
    assert provenance.git() == clean
    (tmp_path / "suite" / "cli.py").write_text("changed")
    assert provenance.git() == f"{clean} dirty"
    monkeypatch.setattr(provenance, "ROOT", tmp_path.resolve() / "suite")
    assert provenance.git() == "", "installed inside another project's checkout"


def test_a_study_is_concluded_when_its_last_unit_is_done_and_one_without_units_too() -> None:
    first, second, shared = (Unit("s", name) for name in ("first", "second", "shared"))
    units = {"both": [first, shared], "none": [], "other": [second, shared]}
    work = plan.Plan({}, units, *[frozenset()] * 5)
    with ThreadPoolExecutor(1) as thread:
        concluding = pipeline.Concluding(thread, str.upper, work)
        concluding.done(shared)
        assert not concluding.studies
        concluding.done(first)
        assert list(concluding.studies) == ["both"]
        concluding.done(second)
        assert list(concluding.studies) == ["both", "other"]
        assert list(concluding.results().items()) == [(name, name.upper()) for name in units]
