"""A tiny project of two made-up studies, laid out in a folder, and `crosscheck` run there as a user would.

`steady` measures in no time and keeps a log of what it measured; `moody` raises, yields NaN, is slow, dies or
dies once, while a file of that name lies in the folder.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import copies

Start = Callable[..., "copies.Run | subprocess.Popen[str]"]
ROOT = Path(__file__).parents[1]
STUDY = '''"""{name}: a made-up claim."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from crosscheck.claims import Check, Claim, Unit
from crosscheck.claims import Equal
from crosscheck.lazy import figures, pd, rows

HERE = Path(__file__).resolve().parents[1]
CLAIM = Claim("{name} is zero", "The mean is zero.", "\\\\mu = 0", "nowhere")
CHECKS = (Check("mean", "The mean is zero.", Equal(0.1), "0", "one is added", settings=("", "mnist")),)
THEORIES = ()


def units(scale):
    seeds = tuple(range(16))
    return [
        Unit("{name}", "measure", {{}}, seeds),
        Unit("{name}", "measure", {{"setting": "mnist"}}, seeds, data=("mnist",)),
    ]


def measure(seeds, setting=""):
    with (HERE / "measured.log").open("a") as log:
        log.write("{name}\\n")
    time.sleep(0.1)
    noise = claim = 0.001 * np.arange(len(seeds))
    {mood}
    shared = dict(check="mean", setting=setting, seed=seeds, resolution=0.01)
    control = rows.tidy(arm="control", value=1 + noise, **shared)
    return pd.concat([rows.tidy(value=claim, **shared), control])


def table(rows):
    return rows.groupby("arm", as_index=False)["value"].mean()


def figure(rows):
    figure, (ax,) = figures.panels()
    ax.plot(rows["value"])
    return figure
'''
MOODS = {
    "steady": "",
    "moody": """if (HERE / "raise").exists():
        raise ZeroDivisionError("in a bad mood")
    if (HERE / "nan").exists():
        claim = noise * np.nan
    if (HERE / "slow").exists():
        time.sleep(10)
    for death in ("die", "die once"):
        if (HERE / death).exists():
            "once" in death and (HERE / death).unlink()
            os.kill(os.getpid(), signal.SIGKILL)""",
}


# Notes down what is drawn: Matplotlib takes as long to import as the rest of a run.
FIGURES = '''"""Figures of nothing but what was drawn on them."""

from contextlib import nullcontext as theme

from crosscheck._files import write_atomically

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><text>{}</text></svg>'


class Axes:
    def __init__(self):
        self.drawn = []

    def plot(self, values):
        self.drawn += map(str, values)

    def set_title(self, title):
        self.drawn.append(title)


def panels():
    axes = Axes()
    return axes, [axes]


def save(figure, folder):
    for name in ("figure.svg", "figure.png"):
        write_atomically(folder / name, SVG.format(" ".join(figure.drawn)).encode())


def release(figure):
    pass
'''


@dataclass
class Project:
    """A folder in which `crosscheck` finds the made-up studies instead of the real ones."""

    folder: Path

    def crosscheck(
        self,
        *arguments: object,
        code: int = 0,
        traceback: bool = False,
        start: Start = copies.started,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line; it must leave with this exit code, and no traceback unless one is due."""
        run = start(arguments, self.folder, self.environment() | environment)
        out, err = run.communicate(timeout=120)
        assert run.returncode == code, out + err
        assert ("Traceback" in out + err) == traceback
        return subprocess.CompletedProcess(arguments, code, out, err)

    def environment(self) -> dict[str, str]:
        """No data but the embedded; no determinism to switch on, which would import TensorFlow."""
        path = os.pathsep.join((str(self.folder), str(ROOT)))
        data = str(self.folder / "data")
        return {**os.environ, "PYTHONPATH": path, "TFDS_DATA_DIR": data, "CROSSCHECK_DETERMINISM": "0"}

    @property
    def measured(self) -> int:
        """How often anything was measured so far."""
        log = self.folder / "measured.log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def files(self) -> dict[str, bytes]:
        """Everything under results/."""
        paths = sorted((self.folder / "results").rglob("*"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths if path.is_file()}


def lay_out(folder: Path) -> Project:
    """The real package, linked file by file, with other studies and their names in it, and no drawing."""
    real, shadow = ROOT / "suite" / "crosscheck", folder / "crosscheck"
    replaced = {"": ("studies", "claims", "report", "reference"), "claims": ("register.py",)}
    for place, own in {**replaced, "report": ("figures.py",)}.items():
        (shadow / place).mkdir(parents=True)
        for file in (real / place).iterdir():
            if file.name not in own:
                (shadow / place / file.name).symlink_to(file)
    (shadow / "report" / "figures.py").write_text(FIGURES)
    register = (real / "claims" / "register.py").read_text()
    before, _, rest = register.partition("NAMES = (")
    _, _, after = rest.partition(")\n")
    (shadow / "claims" / "register.py").write_text(f"{before}NAMES = {tuple(MOODS)!r}\n{after}")
    (folder / "studies").mkdir()
    (shadow / "studies").symlink_to(folder / "studies")
    (folder / "studies" / "__init__.py").touch()
    for name, mood in MOODS.items():
        (folder / "studies" / f"{name}.py").write_text(STUDY.format(name=name, mood=mood or "pass"))
    (folder / "keras.py").touch()  # a worker imports it before it does anything, and the real one takes long
    return Project(folder)
