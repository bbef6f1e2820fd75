"""What a new process does that has imported Keras, and of ours nothing: in copies of one that has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("saved_before_the_move")
NEW = {
    "doctor": "from crosscheck.doctor.command import load_model; load_model(folder / 'whole.keras', ())",
    "imports": "from crosscheck import calibration, losses, metrics, models, optimizers, regularizers; "
    "keras.models.load_model(folder / 'whole.keras')",
    "too few": "from crosscheck.replicates import Replicates; Replicates.load(folder / 'two.replicates')",
    "as on Windows": "sys.modules['fcntl'] = None; from crosscheck import data, losses, metrics, models, "
    "regularizers, optimizers, calibration, detection, information; "
    "assert len(data.load('digits').y_test) == 500",
}
IN_COPIES = """
import json, os, sys
from pathlib import Path
import keras

folder, said = Path(sys.argv[1]), {}
for name, code in json.loads(sys.argv[2]).items():
    ours, theirs = os.pipe()
    if not os.fork():
        try:
            exec(code)
            os.write(theirs, b"done")
        except BaseException as error:
            os.write(theirs, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(theirs)
    said[name] = open(ours).read()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What became of each in `NEW`: its error, or that it is done."""
    command = [sys.executable, "-c", IN_COPIES, str(FOLDER), json.dumps(NEW)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


@pytest.mark.parametrize("way", ["doctor", "imports"])
def test_in_a_new_process_the_doctor_loads_it_and_so_does_keras_after_our_imports(
    said: dict[str, str], way: str
) -> None:
    assert said[way] == "done"


def test_what_is_not_imported_is_named(said: dict[str, str]) -> None:
    assert said["too few"].startswith("ValueError")
    assert "RadialBasis" in said["too few"] and "crosscheck.models" in said["too few"]


def test_who_wants_a_metric_alone_needs_no_fcntl(said: dict[str, str]) -> None:
    """As on Windows, where there is none."""
    assert said["as on Windows"] == "done"
