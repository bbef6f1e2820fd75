"""What docs/security.md says: no file that is examined runs code, and each refusal is one line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from crosscheck.diagnose._saved import read_arrays
from crosscheck.doctor.command import load_model
from crosscheck.errors import UsageError


class Runs:
    """Unpickled, it would leave a file."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def npz_of(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, x=array, y=np.zeros(4))
    return content.getvalue()


def pickled(trace: Path) -> bytes:
    return npz_of(np.array([Runs(trace)], dtype=object))


def flipped(trace: Path) -> bytes:
    """An archive of which a byte of the first array is another one."""
    content = bytearray(npz_of(np.arange(100.0)))
    content[300] ^= 255
    return bytes(content)


def of_text(trace: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x.txt", "no array")
    return content.getvalue()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pickled, "pickled objects, which are code"),
        (flipped, "damaged"),
        (of_text, "x.txt in it is no array"),
        (lambda trace: b"junk" * 99, "no archive"),
        (lambda trace: b"", "no archive"),
        (lambda trace: npz_of(np.arange(100.0))[:200], "no archive"),
    ],
    ids=["pickled", "flipped", "of text", "junk", "empty", "cut off"],
)
def test_arrays_that_are_none_are_refused_in_one_line_and_nothing_is_run(tmp_path, make, reason):
    file, trace = tmp_path / "data.npz", tmp_path / "trace"
    file.write_bytes(make(trace))
    with pytest.raises(UsageError, match=reason) as refused:
        read_arrays(file)
    assert "\n" not in str(refused.value) and "allow_pickle" not in str(refused.value)
    assert not trace.exists()


def test_the_pickled_file_would_run_code(tmp_path):
    """The control: NumPy runs it where it is allowed to."""
    file, trace = tmp_path / "data.npz", tmp_path / "trace"
    file.write_bytes(pickled(trace))
    np.load(file, allow_pickle=True)["x"]
    assert trace.exists()


def test_a_model_that_holds_code_is_refused_without_the_advice_to_run_it(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: 2 * x), keras.layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(UsageError, match="a file's code is not run") as refused:
        load_model(tmp_path / "model.keras", [])
    assert "\n" not in str(refused.value) and "safe_mode" not in str(refused.value)
