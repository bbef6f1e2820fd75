"""The command line as a user meets it: one clear message, the right exit code, nothing heavy imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import copies
import pytest
import throwaway

from crosscheck.cli import main, voice

HEAVY = ("tensorflow", "keras", "pandas", "matplotlib", "scipy", "seaborn", "sklearn", "jax", "torch")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Project:
    return throwaway.lay_out(tmp_path_factory.mktemp("project"))


def refused(ran: subprocess.CompletedProcess, *words: str) -> None:
    """One line on the error stream that holds these words, and nothing printed besides."""
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("crosscheck: ")
    for word in words:
        assert word in line


def test_an_unknown_study_is_refused_with_the_nearest_name(project: throwaway.Project) -> None:
    refused(project.crosscheck("run", "stedy", code=2), "stedy", "Did you mean 'steady'?")


UNITS = 'Unit("steady", "measure", {}, seeds),'


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("def units(", "def unitz(", ["studies/steady.py defines no units"]),
        ("CHECKS = (", "CHECKS = ()\nOTHERS = (", ["studies/steady.py has no check in CHECKS"]),
        (
            UNITS,
            "unit(measure, seeds, heads=3),",
            ["studies/steady.py cannot say", "'heads'", "(line "],
        ),
        (UNITS, "1 / 0,", ["studies/steady.py cannot say its units at scale smoke", "ZeroDivisionError"]),
    ],
)
def test_a_mistake_in_a_study_is_told_with_its_file(
    tmp_path: Path, good: str, bad: str, words: list[str]
) -> None:
    project = throwaway.lay_out(tmp_path)
    file = tmp_path / "studies" / "steady.py"
    text = file.read_text().replace("Check, Claim, Unit", "Check, Claim, Unit, unit")
    assert text.count(good) == 1
    file.write_text(text.replace(good, bad))
    refused(project.crosscheck("run", "steady", "--scale", "smoke", code=2), *words)


def test_a_study_that_is_not_in_the_register_is_told_where_to_add_it(tmp_path: Path) -> None:
    project = throwaway.lay_out(tmp_path)
    (tmp_path / "studies" / "coin.py").touch()
    refused(project.crosscheck("run", "coin", code=2), "add 'coin' to NAMES", "claims/register.py")


def test_a_measuring_function_that_returns_nothing_is_told_so(tmp_path: Path) -> None:
    project = throwaway.lay_out(tmp_path)
    file = tmp_path / "studies" / "steady.py"
    file.write_text(file.read_text().replace("    return pd.concat", "    pd.concat"))
    assert (
        "measure returned nothing: it has to return rows"
        in project.crosscheck("run", "steady", code=1).stderr
    )


def test_a_unit_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    project = throwaway.lay_out(tmp_path)
    (tmp_path / "raise").touch()
    line = (tmp_path / "studies" / "moody.py").read_text().partition("raise Zero")[0].count("\n") + 1
    assert (
        f"ZeroDivisionError: in a bad mood (line {line})" in project.crosscheck("run", "moody", code=1).stderr
    )


@pytest.mark.parametrize("option", ["--scale", "--backend"])
def test_an_unknown_choice_is_refused_with_the_choices(project: throwaway.Project, option: str) -> None:
    known = {"--scale": "standard", "--backend": "jax"}[option]
    refused(project.crosscheck("run", option, "huge", code=2), "huge", known, "crosscheck run --help")


def test_an_unknown_data_set_is_refused(project: throwaway.Project) -> None:
    refused(project.crosscheck("run", "--data", "mnits", code=2), "mnits", "Did you mean 'mnist'?")
    refused(project.crosscheck("data", "mnits", code=2), "mnits", "Did you mean 'mnist'?")


def test_an_unprepared_data_set_asked_for_by_name_is_refused(project: throwaway.Project) -> None:
    refused(project.crosscheck("run", "--data", "mnist", code=2), "mnist", "crosscheck data mnist")


def test_a_data_set_that_no_chosen_study_reads_is_refused(project: throwaway.Project) -> None:
    refused(project.crosscheck("run", "--data", "digits", code=2), "digits", "they read mnist")


@pytest.mark.parametrize("option", ["--results", "--store"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(
    project: throwaway.Project, option: str
) -> None:
    (project.folder / "a file").write_text("")
    before = project.measured
    refused(project.crosscheck("run", option, "a file", code=2), "a file", "not a folder")
    refused(project.crosscheck("run", option, "a file/below", code=2), "a file", "not a folder")
    assert project.measured == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that refuses even root")
def test_a_file_system_that_refuses_is_refused(project: throwaway.Project) -> None:
    refused(project.crosscheck("run", "--results", "/proc/self/fd", code=2), "/proc/self/fd")


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores mode bits")
def test_a_folder_without_write_permission_is_refused(project: throwaway.Project) -> None:
    (project.folder / "locked").mkdir(mode=0o555)
    refused(project.crosscheck("run", "--results", "locked", code=2), "locked", "no permission")


def test_an_uninstalled_backend_is_refused_with_the_way_to_install_it(project: throwaway.Project) -> None:
    (project.folder / "sitecustomize.py").write_text(
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'jax' else find(name, *rest)"
    )
    try:
        refused(project.crosscheck("run", "--backend", "jax", code=2), "jax", "pip install jax")
    finally:
        (project.folder / "sitecustomize.py").unlink()


def test_a_report_on_nothing_is_refused(project: throwaway.Project) -> None:
    refused(
        project.crosscheck("report", "--results", "nothing here", code=2), "nothing here", "crosscheck run"
    )


def test_verify_without_a_reference_is_refused(project: throwaway.Project) -> None:
    refused(
        project.crosscheck("verify", "--reference", "nothing here", code=2), "nothing here", "crosscheck run"
    )


def test_verify_in_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    from crosscheck.errors import UsageError
    from crosscheck.running import rerun

    (tmp_path / "old").write_text("")
    with pytest.raises(UsageError, match="--against"), rerun.empty_folder(tmp_path):
        pass


def test_the_data_sets_are_listed_with_licence_and_whether_they_are_there(project: throwaway.Project) -> None:
    lines = {line.split()[0]: line for line in project.crosscheck("data").stdout.splitlines()}
    assert "not prepared" in lines["mnist"]
    assert "prepared" in lines["digits"] and "not prepared" not in lines["digits"]
    assert "MIT" in lines["fashion_mnist"] and "CC BY 3.0" in lines["clinc_oos"]
    assert "none stated" in lines["emotions"] and "GPL-3.0" in lines["fashion_mnist_h"]


def test_original_files_without_a_name_are_refused(project: throwaway.Project) -> None:
    refused(project.crosscheck("data", "--from", ".", code=2), "--from")


def test_a_fault_of_the_program_is_one_line_unless_the_traceback_is_asked_for(
    project: throwaway.Project,
) -> None:
    broken = project.folder / "studies" / "steady.py"
    text = broken.read_text()
    broken.write_text(text.replace("CLAIM = ", "CLAIM = None and "))
    try:
        refused(project.crosscheck("list", code=1), "AttributeError", "--debug")
        project.crosscheck("list", "--debug", code=1, traceback=True)
        project.crosscheck("list", code=1, traceback=True, CROSSCHECK_DEBUG="1")
    finally:
        broken.write_text(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["list", "--json"],
        ["show", "saturation"],
        ["show", "saturation", "--json"],
        ["completion", "fish"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_looking_around_imports_nothing_heavy(arguments: list[str]) -> None:
    """In the real project, not the made-up one."""
    code = (
        "import sys; from crosscheck.cli import main; sys.argv[1:] = sys.argv[1].split()\n"
        "try: main.main()\n"
        f"except SystemExit as end: assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, " ".join(arguments)],
        cwd=throwaway.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr.strip() == "[]"
    assert ran.stdout


SAVED = Path(__file__).with_name("saved_before_the_move")
LOSS = "keras.losses:BinaryCrossentropy"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["audit", "keras.losses:Nothing", "--kind", "binary"], 2),
        (["doctor", SAVED / "binary_crossentropy.keras"], 0),
        pytest.param(["audit", LOSS, "--kind", "binary", "--json"], 1, marks=pytest.mark.long),
    ],
)
def test_the_error_stream_is_for_errors(tmp_path: Path, arguments: list[object], code: int) -> None:
    """Not for what TensorFlow logs while it is imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    run = copies.afresh(arguments, tmp_path, environment)
    out, err = run.communicate()
    assert run.returncode == code
    if code == 2:
        refused(subprocess.CompletedProcess(arguments, code, out, err), "Nothing")
    else:
        assert out and err == ""


def test_what_is_logged_while_an_import_fails_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with voice.unheard():
        os.write(2, b"unheard\n")
    with pytest.raises(ZeroDivisionError), voice.unheard():
        os.write(2, b"told\n")
        raise ZeroDivisionError
    assert capfd.readouterr().err == "told\n"


def test_an_interrupted_command_says_that_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "cli", interrupted)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 130
    assert "goes on from there" in capsys.readouterr().err
