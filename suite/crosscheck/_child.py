"""Another Python process that imports what this one would, whatever folder it is started in."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from crosscheck._files import checksum

PACKAGE = Path(__file__).parent


def command(module: str, *arguments: object) -> list[str]:
    """`python -m module arguments`, without the current folder in front of all that can be imported."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with its `sys.path`, from which comes this very package."""
    folders = [Path(folder).absolute() for folder in sys.path]
    first = next((folder for folder in folders if (folder / PACKAGE.name / "__init__.py").is_file()), None)
    if first != PACKAGE.parent:  # an import hook leads to it, or `sys.path` has changed since
        folders.insert(0, PACKAGE.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, dict.fromkeys(folders))), **variables}


def package_files() -> Iterator[Path]:
    """Every file that shapes results: templates, scripts, stubs and, behind their link, the studies.

    Not among them is what Python has compiled, nor the reference, which in a checkout is what runs write.
    """
    for folder, folders, names in os.walk(PACKAGE, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        if Path(folder) == PACKAGE and "reference" in folders:
            folders.remove("reference")
        yield from (Path(folder, name) for name in names)


def code() -> list[tuple[str, str]]:
    """What the package's code is: the name of each file, and its checksum."""
    return sorted((str(file.relative_to(PACKAGE)), checksum(file)) for file in package_files())


def fingerprint() -> str:
    """The package's code as one short hash."""
    return hashlib.sha256(json.dumps(code()).encode()).hexdigest()[:16]
