"""The reference: the verdicts that git's HEAD holds or, outside a checkout, those that the package brings.

What a run on this machine has written into results/ is never the reference, even where it lies in its place.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import crosscheck
from crosscheck._files import write_atomically
from crosscheck.running import provenance

PACKAGED = Path(crosscheck.__file__).parent / "reference"  # in a checkout a link to results/
FILE = "verdict.json"
CHAPTER = "chapter.json"


@contextlib.contextmanager
def folder(names: Iterable[str]) -> Iterator[Path]:
    """The reference verdicts of these studies, and the chapter's, as a results folder while the block lasts.

    A study on which there is none has no folder in it. A checkout without git falls back on results/.
    """
    if not provenance.in_checkout():
        yield PACKAGED
        return
    with tempfile.TemporaryDirectory(prefix="crosscheck-") as temporary:
        for name in names:
            if text := provenance.ask_git("show", f"HEAD:results/{name}/{FILE}"):
                write_atomically(Path(temporary, name, FILE), text)
        if text := provenance.ask_git("show", f"HEAD:results/{CHAPTER}"):
            write_atomically(Path(temporary, CHAPTER), text)
        yield Path(temporary)


def description() -> str:
    """What the reference is, in words."""
    if provenance.in_checkout():
        return f"the results in git ({provenance.ask_git('rev-parse', '--short', 'HEAD')})"
    return f"the results of crosscheck {crosscheck.__version__}"
