"""Original bytes of the embedded sets, read without importing the library that carries them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path


def digits() -> bytes:
    """scikit-learn's digits as CSV text: 1,797 lines of 64 pixels (0 to 16) and the class.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")  # finds the folder and runs none of its code
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The data set 'digits' is part of scikit-learn, which is not installed.")
    file = Path(spec.origin).with_name("datasets") / "data" / "digits.csv.gz"
    return gzip.decompress(file.read_bytes())


@functools.cache
def checksum(origin: Callable[[], bytes]) -> str:
    """sha256 of the uncompressed content, so that a set packed anew by its library keeps its name."""
    return hashlib.sha256(origin()).hexdigest()
