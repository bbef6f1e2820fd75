"""A small made-up study, its rows and its provenance, for the tests of what is written and shown."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, rows, verdicts
from crosscheck.claims.judged import StudyVerdict
from crosscheck.report import figures, records

NASTY = '<script>alert("x")</script> & |p − y|_i *not* `code` $5'
PATHS = [
    f"binary/tensorflow/cpu/{mode}/{policy}/{head}/probabilities/keras class"
    for mode in ("eager", "graph")
    for policy in ("float32", "mixed_float16")
    for head in ("dense", "sigmoid")
]
BROKEN = [path for path in PATHS if "mixed_float16/sigmoid" in path]
SEEDS = np.arange(24)
PROVENANCE = {
    "versions": {"keras": "3.15.0", "numpy": "2.4"},
    "backend": "tensorflow",
    "device": "cpu",
    "scale": "smoke",
    "seeds": 12,
    "git": "0123abc <dirty>",
    "data": {"digits": "1.0.0"},
    "seconds": np.float64(1.5),
    "error_rate": 0.01,
    "tails": 150,
    "level": 1 - 0.01 / 150,
}

CHECKS = (
    Check(
        "gradient", "the gradient is p − y on every path", Identity(4), r"p-y", "squared error",
        scope=True, exact=True,
    ),
    Check("mean", f"the mean is ¼ {NASTY}", Equal(0.05), r"|\mu| = \frac{1}{4}", f"shuffled {NASTY}",
          settings=("ε = 0.1", "ε = 0.2", "mnist"), positive=f"drawn from theory {NASTY}",
          population="these data sets"),
    Check("bounded", "it is bounded away from zero", Exceeds(0.2), r"\mu \ge 0.2", "hard labels"),
    Check("minimum", "it has a minimum inside", Exceeds(0.1), r"\mu \ge 0.1", "no smoothing"),
)  # fmt: skip


def study(checks: tuple[Check, ...] = CHECKS, title: str = f"A claim {NASTY}") -> ModuleType:
    module = ModuleType("made_up")
    module.CLAIM = Claim(
        title, f"It is asserted. {NASTY}", r"L = -\sum_k y_k \log p_k", f"§1 {NASTY}", f"Or: {NASTY}"
    )
    module.CHECKS, module.THEORIES, module.units = checks, (), lambda scale: []
    module.table, module.figure = table, figure
    return module


def table(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"loss_%": ["BCE", NASTY], "value": [0.123456, np.nan], "n": [12, 10_000]})


def figure(frame: pd.DataFrame):
    drawing, (ax,) = figures.panels()
    x = np.linspace(0, 1, 5)
    figures.median_with_interval(ax, x, noise(0.0)[:, None] + x, "measured")
    figures.theory_line(ax, x, x)
    ax.legend()
    return drawing


def noise(sd: float) -> np.ndarray:
    """Without a mean, and the same on every call."""
    return sd * (np.random.default_rng(0).permutation(np.linspace(-1, 1, len(SEEDS))))


def measured() -> pd.DataFrame:
    """`gradient` breaks on two paths, `mean` holds, `bounded` fails, `minimum` straddles its margin."""
    parts = [on_path(path, "claim", 1.0 if path in BROKEN else 0.0) for path in PATHS]
    parts += [on_path(path, "control", 1.0) for path in PATHS]
    for setting in ("ε = 0.1", "ε = 0.2"):
        parts += both("mean", setting, 0.25, 0.001, reference=0.25)
    shared = {"setting": "ε = 0.1", "seed": SEEDS, "reference": 0.25, "resolution": 0.01}
    parts += [rows.tidy(check="mean", arm="positive", value=0.24 + noise(0.002), **shared)]
    parts += [*both("bounded", "", 0.0, 0.001), *both("minimum", "", 0.11, 0.1)]
    return pd.concat(parts, ignore_index=True)


def on_path(path: str, arm: str, off: float) -> pd.DataFrame:
    return rows.tidy(check="gradient", arm=arm, path=path, value=[off, off], resolution=1e-7)


def both(check: str, setting: str, mean: float, sd: float, reference: float = 0.0) -> list[pd.DataFrame]:
    shared = {"check": check, "setting": setting, "seed": SEEDS, "reference": reference, "resolution": 0.01}
    claim = rows.tidy(arm="claim", value=mean + noise(sd), **shared)
    return [claim, rows.tidy(arm="control", value=-9 + noise(sd), **shared)]


def judged(study: ModuleType) -> StudyVerdict:
    return verdicts.judge_study(study, measured(), PROVENANCE["level"], absent=("mnist",))


def write(folder: Path, name: str, study: ModuleType, verdict: StudyVerdict | None = None) -> Path:
    """Its verdict, table and figure, under a name of the register."""
    record = records.record_of(name, study, verdict or judged(study), PROVENANCE)
    return records.write_study(folder, study, measured(), record)
