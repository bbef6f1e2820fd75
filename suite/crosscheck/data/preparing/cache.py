"""TFDS's download cache: what it lacks, filling it from original files, and whether the hosts answer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crosscheck._files import write_atomically
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

PATIENCE = 5.0  # seconds to reach a host; TFDS alone would go on trying for over three minutes


def missing(builder: DatasetBuilder) -> list[str]:
    """Addresses of the builder's original files that its download cache lacks."""
    from tensorflow_datasets.core.download import resource

    return [url for url in builder.url_infos or () if not resource.is_locally_cached(_place(builder, url))]


def seed(builder: DatasetBuilder, folders: Sequence[Path]) -> None:
    """Copy the original files from the folders into the download cache, under the names that TFDS looks for.

    A file is taken, whatever its name, when its size and sha256 are those on TFDS's records. TFDS trusts its
    cache, so this is the only check.

    Raises:
        UsageError: the cache lacks a file that no folder holds either.
    """
    urls = missing(builder)
    paths = [path for folder in folders for path in sorted(folder.glob("*")) if path.is_file()]
    path_by_key = {_key(path): path for path in paths}
    keys = {url: (builder.url_infos[url].size, builder.url_infos[url].checksum) for url in urls}
    absent = [url for url in urls if keys[url] not in path_by_key]
    if absent:
        files = "; ".join(f"{_name(url)} ({keys[url][0]} bytes, sha256 {keys[url][1]})" for url in absent)
        places = " or ".join(map(str, folders))
        raise UsageError(f"No file in {places} has the size and sha256 of the original of: {files}.")
    for url in urls:
        _lay_out(builder, url, path_by_key[keys[url]])


def require_hosts(name: str, urls: list[str]) -> None:
    """Return once every host has answered.

    Raises:
        UsageError: one did not within `PATIENCE` seconds.
    """
    silent = _silent({_host(url): url for url in urls})
    if silent:
        raise UsageError(
            f"Data set '{name}' needs a network, and no answer came from {', '.join(sorted(silent))}. "
            f"Connect to a network, or run `crosscheck data {name} --from FOLDER` with the original files in "
            f"FOLDER/{name}: {', '.join(map(_name, urls))}."
        )


def _silent(urls: dict[str, str]) -> set[str]:
    """Hosts that do not answer, among {host: url}; asked at once, with TFDS's own client."""
    answered: set[str] = set()
    threads = [threading.Thread(target=_ask, args=(*pair, answered), daemon=True) for pair in urls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)  # resolving a name knows no timeout of its own: a daemon thread is left behind
    return set(urls) - answered


def _ask(host: str, url: str, answered: set[str]) -> None:
    import requests

    try:
        requests.head(url, timeout=PATIENCE)
    except requests.exceptions.RequestException:
        return
    answered.add(host)


def _lay_out(builder: DatasetBuilder, url: str, source: Path) -> None:
    from tensorflow_datasets.core.download import resource

    place = _place(builder, url)
    write_atomically(Path(place), source.read_bytes())
    resource.write_info_file(url, place, builder.name, _name(url), builder.url_infos[url])


def _place(builder: DatasetBuilder, url: str) -> Path:
    from etils import epath
    from tensorflow_datasets.core.download import resource

    file_name = resource.get_dl_fname(url, builder.url_infos[url].checksum)
    return epath.Path(builder.data_dir_root) / "downloads" / builder.name / file_name


def _key(path: Path) -> tuple[int, str]:
    """Size and sha256 of a file, by which TFDS's records know it."""
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _name(url: str) -> str:
    return urlsplit(url).path.rsplit("/", 1)[-1]  # its ending tells TFDS how to unpack the file
