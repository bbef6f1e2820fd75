"""The store: what was written comes back, and what was harmed is set aside and counts as missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosscheck.claims.rows import tidy
from crosscheck.running import store

KEY = "0123456789abcdef0123"


def written(folder: Path, key: str = KEY) -> Path:
    return store.write(folder, key, tidy(value=[1.0, 2.0], seed=[0, 1]), {"seconds": 1.5, "nan": []})


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert store.find(tmp_path, KEY) == path
    rows, about = store.read(path, KEY)
    assert rows.equals(tidy(value=[1.0, 2.0], seed=[0, 1])) and about["seconds"] == 1.5
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "no temporary file stays"


def flipped(content: bytes) -> bytes:
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


@pytest.mark.parametrize("harm", [flipped, lambda c: c[:-7], lambda c: b"", lambda c: b"not Parquet"])
def test_a_harmed_file_is_set_aside_with_a_warning(tmp_path: Path, caplog, harm) -> None:
    path = written(tmp_path)
    path.write_bytes(harm(path.read_bytes()))
    assert store.find(tmp_path, KEY) is None
    assert (tmp_path / "set-aside" / path.name).exists() and not path.exists()
    assert "checksum" in caplog.text
    assert written(tmp_path) == store.find(tmp_path, KEY), "and it can be computed anew"


def test_another_units_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "f" * 20)
    with pytest.raises(ValueError, match="holds the unit"):
        store.read(path, KEY)
    assert store.find(tmp_path, KEY) is None
