"""The made-up studies with a hook in every process that strikes it at a change of files, counted.

A moment is counted in changes of files, so that every step of writing one is hit, and hit again in the same
way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import copies
import throwaway
from copies import Run

from crosscheck.running import store

# Counts changes of files below .store and results, and strikes at the one it is told to. A unit takes no
# time: it would be the only difference between two runs.
HOOK = """
import contextlib, glob, os, signal, sys, time

WORKER = "crosscheck.running.worker" in sys.orig_argv
left, blow = int(os.environ.get("STRIKE_AFTER", 0)), os.environ.get("STRIKE", "")


def children():
    for file in glob.glob("/proc/self/task/*/children"):
        with contextlib.suppress(OSError), open(file) as listed:  # a thread that has ended has none
            yield from map(int, listed.read().split())


def struck_before():
    try:
        os.close(os.open("struck", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return True
    return False


def strike():
    if blow == "worker" and struck_before():
        return
    for child in children() if blow == "group" else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def changes(event, told):
    if event == "open":
        return told[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return event in ("os.rename", "os.remove", "os.mkdir")


def disarm():
    global left
    left = 0


def watch(event, told):
    global left
    if left and changes(event, told) and str(told[0]).startswith((".store", "results")):
        left -= 1
        if not left:
            strike()


if WORKER:
    time.perf_counter = lambda: 0.0
if left and WORKER == (blow == "worker"):
    sys.addaudithook(watch)
    if not WORKER:  # a worker that is a copy of its run has its hook, too
        os.register_at_fork(after_in_child=disarm)
"""


def lay_out(folder: Path) -> throwaway.Project:
    """The made-up studies with two units each, whose log says which was measured."""
    project = throwaway.lay_out(folder)
    for name in throwaway.MOODS:
        file = folder / "studies" / f"{name}.py"
        text = file.read_text()
        one = f'Unit("{name}", "measure", {{}}, seeds),'
        another = one.replace("{}", '{"setting": "a"}')
        assert one in text and f'log.write("{name}\\n")' in text
        text = text.replace(one, f"{one}\n        {another}")
        text = text.replace('settings=("", "mnist")', 'settings=("", "a", "mnist")')
        file.write_text(text.replace(f'"{name}\\n"', f'"{name}:" + setting + "\\n"'))
    (folder / "sitecustomize.py").write_text(HOOK)
    return project


def started(
    project: throwaway.Project, preexec: Callable[[], object] | None = None, **environment: object
) -> Run | Popen[str]:
    """A run; in an interpreter of its own where something is to be done in it before it starts."""
    told = {name: str(value) for name, value in environment.items()}
    told = {**project.environment(), "PYTHONDONTWRITEBYTECODE": "1", **told}
    if preexec:
        return copies.afresh(["run", "--jobs", 2], project.folder, told, preexec_fn=preexec)
    return copies.started(["run", "--jobs", 2], project.folder, told)


def ended(run: Run | Popen[str]) -> tuple[int, str]:
    """Exit code, negative where it was killed, and what it complained of."""
    _, told = run.communicate(timeout=120)
    assert "Traceback" not in told and "fault of crosscheck" not in told
    return run.returncode, told


def finish(project: throwaway.Project, preexec: Callable[[], object] | None = None) -> str:
    code, told = ended(started(project, preexec))
    assert code == 0, told
    return told


def undisturbed_files(folder: Path) -> dict[str, bytes]:
    """What a run leaves behind that nothing happens to, in interpreters of its own."""
    project = lay_out(folder)
    finish(project, preexec=lambda: None)
    return project.files()


def measured(project: throwaway.Project) -> Counter[str]:
    """How often each unit was measured."""
    log = project.folder / "measured.log"
    return Counter(log.read_text().split()) if log.exists() else Counter()


def files_of_units(project: throwaway.Project) -> dict[str, Path]:
    """The file of each unit that is finished, by the unit's name in the log."""
    found = {}
    for path in (project.folder / ".store").glob("*.parquet"):
        unit = store.about(path)["unit"]
        setting = re.search(r"setting=(\S+)", unit)
        found[f"{unit.split('/')[0]}:{setting[1] if setting else ''}"] = path
    return found


def leftovers(project: throwaway.Project) -> list[Path]:
    return [path for name in ("results", ".store") for path in (project.folder / name).rglob(".*.tmp")]
