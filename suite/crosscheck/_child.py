"""Another Python process that imports what this one would, whatever folder it is started in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
