"""A script is run as Python runs it, stopped at its `fit`, and what ends it before is told in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import Ran, crosscheck, refused
from people_scripts import HEAD, call_of, write

from crosscheck.cli import diagnose
from crosscheck.errors import UsageError
from crosscheck.scripts import run_up_to_fit, stopped_at_fit

FIT = "model.fit(x, y)\n"
FAILS = {  # what is wrong with a script, and what is said of it
    "model = 1\n": r"train\.py never calls fit",
    "def f():\n    raise ValueError('\\x1b[1mno\\nsuch')\nf()\n": r"train\.py:2 fails .* ValueError: no such",
    "import numpy as np\n\nnp.load('gone.npy')\n": r"train\.py:3 reads gone\.npy, which is not there\.",
    "import pandas as pd\npd.read_csv('gone.csv')\n": r"train\.py:2 reads gone\.csv, which is not there\.",
    "import keras\nkeras.models.load_model('gone.keras')\n": r"train\.py:2 reads .*, which is not there",
    "x = 1\nif x\n": r"train\.py:2 is not Python 3 \(expected ':'\): if x",
    "x = 1\nprint x\n": r"train\.py:2 is written for Python 2: .*: print x",
    "import os\nimport nobody_has.this\n": r"train\.py:2 imports nobody_has, which is not installed",
    "from keras.layers import Nonsense\n": r"train\.py:1 fails .* ImportError: cannot import name 'Nonsense'",
    "import sys\nsys.exit(3)\n": r"train\.py:2 ends the script, sys\.exit\(3\), before it calls fit",
    "raise SystemExit\n": r"train\.py:1 ends the script, sys\.exit\(\)",
    HEAD + "model.fit(x, y, nonsense=1)\n": r"fails .* TypeError: .*nonsense",
    "x = 1\n\0": r"train\.py.* is n",
}


@pytest.mark.parametrize("text", FAILS)
@pytest.mark.every_backend
def test_what_ends_a_script_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    words = FAILS[text]
    with pytest.raises(UsageError, match=words) as caught, call_of(tmp_path, text):
        pass
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", nothing)
        with (
            pytest.raises(UsageError, match=r"train\.py:1 asks for input"),
            call_of(tmp_path, "input('Rate? ')\n"),
        ):
            pass


def test_no_such_script(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "gone.py", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=words), stopped_at_fit(path):
            pass


def test_a_file_beside_the_script_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1\n")
    with (
        pytest.raises(UsageError, match=r"lies in .*: run from there"),
        call_of(tmp_path, "open('data.csv')\n"),
    ):
        pass


def test_an_error_in_a_module_of_ones_own_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("\n\n1 / 0\n")
    with (
        pytest.raises(UsageError, match=r"^mine\.py:3 fails .* ZeroDivisionError"),
        call_of(tmp_path, "import mine\n"),
    ):
        pass


AS_MAIN = """
import os, sys
assert __name__ == "__main__" and __file__ == sys.argv[0], __file__
assert sys.modules["__main__"].__dict__ is globals()
assert sys.path[0] == os.path.dirname(__file__)
import helper
with open("seen.txt", "w") as file:
    print(os.getcwd(), *sys.argv[1:], file=file, sep="\\n")
"""


@pytest.mark.every_backend
def test_it_runs_as_main_with_its_arguments_in_the_users_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "helper.py").write_text("")
    argv, path = list(sys.argv), list(sys.path)
    with call_of(tmp_path, AS_MAIN + HEAD + FIT, "--epochs", "3"):
        pass
    assert (here / "seen.txt").read_text().split("\n") == [str(here), "--epochs", "3", ""]
    assert sys.argv == argv and sys.path == path and "helper" not in sys.modules
    assert not (tmp_path / "__pycache__").exists()


HOLDS_ON = """
try:
    model.fit(x, y)
except Exception:
    open("swallowed", "w")
open("after", "w")
"""


@pytest.mark.every_backend
def test_except_exception_does_not_hold_the_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with call_of(tmp_path, HEAD + HOLDS_ON):
        pass
    assert not (tmp_path / "swallowed").exists() and not (tmp_path / "after").exists()


@pytest.mark.every_backend
def test_a_bare_except_is_stopped_at_its_next_call(tmp_path: Path) -> None:
    text = HEAD + "for rate in range(3):\n    try:\n        model.fit(x, y)\n    except:\n        pass\n"
    with call_of(tmp_path, text) as call:
        assert int(call.model.optimizer.iterations) == 0


# --- the command, in a process of its own ----------------------------------------------------------------

CLINGS = """
import atexit, threading, time
atexit.register(lambda: open("at exit", "w"))
threading.Thread(target=lambda: [time.sleep(0.1) for _ in range(10**6)]).start()
print("chatter on the output")
try:
    model.fit(x, y)
except:
    open("caught", "w")
finally:
    open("finally", "w")
open("after", "w")
"""


def diagnosed(folder: Path, text: str, *arguments: str) -> Ran:
    """`crosscheck diagnose` in a process of its own, which it ends itself."""
    script = write(folder, text)
    command = [sys.executable, "-m", "crosscheck", "diagnose", str(script), *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def test_the_process_ends_where_the_script_stands(tmp_path: Path) -> None:
    ran = diagnosed(tmp_path, HEAD + CLINGS, "--json")
    record = json.loads(ran.out)
    assert record["place"].startswith("train.py:") and record["translated"] == []
    assert ran.code == record["exit_code"] and not ran.err, ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_a_script_chooses_its_backend_and_reads_its_arguments(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    text = (
        "import os, argparse\nos.environ['KERAS_BACKEND'] = 'jax'\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--rows', type=int)\n"
        "rows = parser.parse_args().rows\n"
    )
    ran = diagnosed(
        tmp_path,
        text + HEAD + "assert keras.backend.backend() == 'jax' and rows == 7\n" + FIT,
        "--",
        "--rows",
        "7",
    )
    assert ran.code in (0, 1), ran.err
    ran = diagnosed(tmp_path, text + HEAD + FIT, "--", "--lines", "7")
    assert ran.code == 2 and "unrecognized arguments: --lines 7" in ran.err and len(ran.err.splitlines()) == 1


def test_an_endless_script_is_given_up(tmp_path: Path) -> None:
    ran = diagnosed(tmp_path, "print('waiting for data')\nwhile True: pass\n", "--timeout", "0.5")
    assert refused(ran) and ran.code == 2
    assert "train.py has not called fit after 0.5 s" in ran.err and "waiting for data" in ran.err


@pytest.mark.every_backend
def test_an_error_is_one_line_whatever_the_script_prints(tmp_path: Path) -> None:
    ran = crosscheck(
        "diagnose", write(tmp_path, "import os\nprint(1)\nos.system('echo 2; echo 3 >&2')\n1/0\n")
    )
    assert refused(ran) and ran.code == 2 and "train.py:4 fails" in ran.err


@pytest.mark.every_backend
def test_what_the_script_prints_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    ran = crosscheck("diagnose", write(tmp_path, "print('seen')\n"), "--verbose")
    assert ran.code == 2 and not ran.out and ran.err.splitlines()[0] == "seen"


class Left(BaseException):
    """In place of the end of the process."""


@pytest.mark.every_backend
def test_a_complaint_at_the_call_ends_the_process_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise Left

    monkeypatch.setattr(diagnose, "leave", leave)
    with pytest.raises(Left):
        crosscheck("diagnose", write(tmp_path, HEAD + "model.fit(iter([]))\n"))
    assert codes == [2]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on
def test_a_call_in_a_forked_process_is_not_taken(tmp_path: Path) -> None:
    """Nobody would hear of it: the process that was asked never comes to a call."""
    text = (
        HEAD + "import os\nchild = os.fork()\nif child == 0:\n    try:\n        model.fit(x, y)\n"
        "    finally:\n        os._exit(7 if int(model.optimizer.iterations) else 0)\n"
        "assert os.waitpid(child, 0)[1] == 0, 'trained'\n"
    )
    with pytest.raises(UsageError, match="never calls fit"):
        run_up_to_fit(write(tmp_path, text), (), 1, lambda call: (tmp_path / "taken").touch())
    assert not (tmp_path / "taken").exists()
