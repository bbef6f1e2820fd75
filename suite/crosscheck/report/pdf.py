"""Prints the report with a headless Chromium; nothing else of the suite needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from crosscheck._files import write_atomically
from crosscheck.errors import CrosscheckError, UsageError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 300  # seconds


def find() -> str | None:
    """Where Chromium is, under any of its names; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def command(*arguments: str) -> list[str]:
    """A headless Chromium; it refuses to run as root, as in a container, with its sandbox.

    Raises:
        UsageError: if there is none.
    """
    program = find()
    if not program:
        raise UsageError(
            f"Chromium is not installed: none of {', '.join(NAMES)} is on the PATH. Install it (Debian, "
            "Ubuntu: `apt-get install chromium`), or open report.html in any browser and print it there."
        )
    unboxed = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [program, "--headless", "--disable-gpu", *unboxed, *arguments]


def to_pdf(page: Path, pdf: Path) -> None:
    """Print a page into a file, whole or not at all.

    Raises:
        UsageError: if Chromium is missing or the file cannot be written.
        CrosscheckError: if Chromium fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "page.pdf"
        printing = command("--no-pdf-header-footer", f"--print-to-pdf={printed}", page.resolve().as_uri())
        ran = subprocess.run(printing, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if not printed.exists():
            complaint = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise CrosscheckError(f"Chromium could not print {page}: {complaint}")
        write_atomically(pdf, printed.read_bytes())
