"""The figures that answer to a hand, as the page lays them out: controls, panels, readings, sentences.

What they compute stands in `templates/explorables.js` alone. `templates/explorables.json` holds how each
looks and reads as it opens, for the page without a script and in print, written by
`python tests/draw_explorables.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import msgspec

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT, OPENING = TEMPLATES / "explorables.js", TEMPLATES / "explorables.json"
WIDTH, HEIGHT = 268, 150  # of a plot, in pixels of its own
Ticks = tuple[tuple[float, str], ...]  # where, and what stands there


@dataclass(frozen=True)
class Slider:
    """A number that the reader sets."""

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float


@dataclass(frozen=True)
class Choice:
    """One of several options, each a value and what it is called; the first is chosen."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Axis:
    """From where to where, in the panel's units, and its ticks."""

    low: float
    high: float
    ticks: Ticks

    def share(self, value: float) -> float:
        """How far along the axis a value lies, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Panel:
    """A plot of curves, each a class of the style sheet with its name in the key (none: not in the key).

    `drag` names the controls that a pull along x sets: one, or one a row.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    curves: tuple[tuple[str, str], ...]
    drag: tuple[str, ...] = ()

    def x_ticks(self) -> Iterator[tuple[float, str]]:
        """Pixels from the plot's left edge, and words."""
        return ((self.x.share(value) * WIDTH, text) for value, text in self.x.ticks)

    def y_ticks(self) -> Iterator[tuple[float, str]]:
        """Pixels from the plot's upper edge, and words."""
        return ((HEIGHT - self.y.share(value) * HEIGHT, text) for value, text in self.y.ticks)

    @property
    def range(self) -> str:
        """The ends of both axes, as the script reads them."""
        return f"{self.x.low:g} {self.x.high:g} {self.y.low:g} {self.y.high:g}"


@dataclass(frozen=True)
class Explorable:
    """A figure: what it asks, its controls and panels, its readings by row, and the sentences it concerns.

    `sentences` holds by id the setting at which the figure shows what the sentence says. With `columns`, a
    row of readings is a row of a table; else it is one reading, its name and label.
    """

    id: str
    title: str
    lead: str
    controls: tuple[Slider | Choice, ...]
    panels: tuple[Panel, ...]
    readings: tuple[tuple[str, str], ...]
    sentences: dict[str, dict[str, float | str]]
    columns: tuple[tuple[str, str], ...] = ()


class Opening(msgspec.Struct, forbid_unknown_fields=True):
    """A figure as it opens: `curves` by panel and curve, as path data; readings in full; what it says."""

    curves: dict[str, dict[str, str]]
    readings: dict[str, float]
    shown: dict[str, str]
    says: str


def openings() -> dict[str, Opening]:
    """How every figure opens, by its id."""
    return msgspec.json.decode(OPENING.read_bytes(), type=dict[str, Opening])


@dataclass(frozen=True)
class Trial:
    """A sentence's way to a figure: the figure, and its setting as the script reads it."""

    figure: Explorable
    state: str


def trials() -> dict[str, list[Trial]]:
    """By sentence, the figures in which what it says can be tried."""
    ways: dict[str, list[Trial]] = {}
    for figure in FIGURES:
        for sentence, state in figure.sentences.items():
            ways.setdefault(sentence, []).append(Trial(figure, urlencode(state)))
    return ways


# --- axes that several panels share ------------------------------------------------------------------------


def numbered(*values: float) -> Ticks:
    return tuple((value, f"{value:g}".replace("-", "−")) for value in values)


def listed(*names: str) -> Axis:
    """An axis of rows, numbered from 1 at the top."""
    return Axis(len(names) + 0.6, 0.4, tuple(enumerate(names, 1)))


LOGIT = Axis(-25, 25, numbered(-16, -8, 0, 8, 16))
CHANCE = Axis(0, 1, numbered(0, 0.25, 0.5, 0.75, 1))
CLASSES = listed("class 1", "class 2", "class 3", "class 4")
BOTH = (("exact", "theory"), ("path", "the path chosen"), ("point", ""))
STEPPED = (("before", "now"), ("after", "after a step"))

# --- the figures -------------------------------------------------------------------------------------------

LOSS = Explorable(
    "try-loss",
    "Loss, gradient and curvature against the logit",
    "Pull the point, or the slider. Cross-entropy computed from the logit has the gradient p − y however "
    "wrong the logit is. Choose a path by way of the probability, and see it die: at z = −16.1 in "
    "float32, where Keras clips p at 1e−7. In float16, on TensorFlow and PyTorch, it overflows below −11 and "
    "is gone below −16.2; for the label 0 it is gone from z = 8.4 on (TensorFlow: 8), where p has become 1.",
    (
        Slider("z", "logit z", -25, 25, 0.1, -18),
        Choice("y", "label y", (("1", "1"), ("0", "0"))),
        Choice(
            "path",
            "path",
            (
                ("clip", "probability, float32, clipped at 1e−7"),
                ("half", "probability, float16"),
                ("logits", "from logits: theory"),
            ),
        ),
        Slider("epsilon", "smoothing ε", 0, 0.4, 0.01, 0),
        Slider("gamma", "focal γ", 0, 5, 0.1, 0),
        Slider("temperature", "temperature T", 0.5, 4, 0.1, 1),
        Choice("base", "logarithm", (("0", "base e"), ("2", "base 2"), ("10", "base 10"))),
    ),
    (
        Panel("loss", "Loss", LOGIT, Axis(-1, 25, numbered(0, 5, 10, 15, 20)), BOTH, ("z",)),
        Panel("gradient", "Gradient dL/dz", LOGIT, Axis(-1.5, 1.5, numbered(-1, 0, 1)), BOTH, ("z",)),
        Panel(
            "curvature",
            "Curvature d²L/dz²",
            LOGIT,
            Axis(-0.1, 0.4, numbered(0, 0.25)),
            (("exact", "theory"), ("point", "")),
            ("z",),
        ),
    ),
    (
        ("p", "p = σ(z/T)"),
        ("target", "label, smoothed"),
        ("curvature", "curvature"),
        ("loss", "loss"),
        ("gradient", "gradient"),
        ("path_p", "p on the path"),
        ("path_loss", "loss on the path"),
        ("path_gradient", "gradient on the path"),
    ),
    {
        "S03": {"z": -24, "y": 1, "path": "clip"},
        "S07": {"z": -3, "y": 1, "path": "logits", "base": 2},
        "S10": {"z": -18, "y": 1, "path": "clip"},
        "S11": {"z": 8, "y": 1, "path": "logits"},
        "S15": {"z": 2.2, "y": 1, "path": "logits", "epsilon": 0.1},
        "S25": {"z": 0, "y": 1, "path": "logits"},
        "S26": {"z": -5, "y": 1, "path": "logits"},
        "S27": {"z": -5, "y": 1, "path": "logits"},
    },
)
SOFTMAX = Explorable(
    "try-softmax",
    "Softmax competition",
    "Pull a class’s logit. The gradient is p − y: negative for the true class, positive for the others, "
    "so that a step on the logits lowers every wrong one. Yet probabilities share one sum: where one "
    "wrong class leads, its fall lifts the other wrong ones.",
    (
        *(
            Slider(f"z{k}", f"logit of class {k}", -8, 8, 0.1, z)
            for k, z in enumerate((-1, 2.5, 0.5, -0.5), 1)
        ),
        Choice("y", "true class", tuple((str(k), str(k)) for k in range(1, 5))),
        Slider("rate", "step η", 0, 5, 0.05, 1),
    ),
    (
        Panel(
            "logits",
            "Logits z",
            Axis(-8.5, 8.5, numbered(-8, -4, 0, 4, 8)),
            CLASSES,
            STEPPED,
            ("z1", "z2", "z3", "z4"),
        ),
        Panel("gradient", "Gradient p − y", Axis(-1.05, 1.05, numbered(-1, 0, 1)), CLASSES, STEPPED[:1]),
        Panel("p", "Probabilities p", Axis(-0.02, 1.02, CHANCE.ticks), CLASSES, STEPPED),
    ),
    tuple((str(k), f"class {k}") for k in range(1, 5)),
    {
        "S21": {"z1": -1, "z2": 2.5, "z3": 0.5, "z4": -0.5, "y": 1},
        "S22": {"z1": 1, "z2": 0, "z3": 0, "z4": 0, "y": 1, "rate": 2},
        "S23": {"z1": -1, "z2": 2.5, "z3": 0.5, "z4": -0.5, "y": 1, "rate": 0.5},
    },
    (
        ("p", "p"),
        ("gradient", "p − y"),
        ("moved", "z after"),
        ("after", "p after"),
        ("gain", "dp/dη at 0"),
    ),
)
SCORE = Explorable(
    "try-score",
    "Cross-entropy against the Brier score",
    "Labels are 1 with a chance q, and the model says p. Either score is least where p = q; what p costs "
    "beyond that is KL(q‖p) or (p − q)², and their ratio is never below 2 and has no upper bound. Focal "
    "loss is least elsewhere, at a flatter p, which tells the chance it stands for.",
    (
        Slider("q", "true chance q", 0.01, 0.99, 0.01, 0.8),
        Slider("p", "prediction p", 0.002, 0.998, 0.002, 0.1),
        Slider("gamma", "focal γ", 0, 5, 0.1, 2),
    ),
    (
        Panel(
            "excess",
            "Excess over the least there is",
            CHANCE,
            Axis(-0.1, 3, numbered(0, 1, 2, 3)),
            (("exact", "KL(q‖p)"), ("path", "(p − q)²"), ("point", "")),
            ("p",),
        ),
        Panel(
            "severity",
            "KL(q‖p) / (p − q)²",
            CHANCE,
            Axis(0, 12, numbered(2, 6, 10)),
            (("exact", "ratio"), ("point", "")),
            ("p",),
        ),
        Panel(
            "minimiser",
            "Minimiser against the true q",
            CHANCE,
            CHANCE,
            (("truth", "cross-entropy, Brier"), ("exact", "focal loss"), ("point", "")),
            ("q",),
        ),
    ),
    (
        ("kl", "KL(q‖p)"),
        ("square", "(p − q)²"),
        ("severity", "their ratio"),
        ("minimiser", "focal loss is least at"),
        ("restored", "chance that p stands for under focal loss"),
    ),
    {"S40": {"q": 0.3, "p": 0.3}, "S41": {"q": 0.8, "p": 0.1}, "S42": {"q": 0.98, "p": 0.002}},
)
LABELS = Explorable(
    "try-labels",
    "Two labels and a feature",
    "Two binary losses take the labels to be independent given the feature; one softmax over the four "
    "outcomes does not. What the former cost more is the mutual information given the feature. Let a "
    "feature be Y₁ ⊕ Y₂: the unconditional formula says 0, and the gap is ln 2.",
    (
        Choice("law", "labels", (("xor", "feature X = Y₁ ⊕ Y₂"), ("cause", "a common cause"))),
        Slider("wrong", "feature wrong (X = Y₁ ⊕ Y₂)", 0, 0.5, 0.01, 0),
        Slider("strength", "dependence (common cause)", 0, 1, 0.01, 0.8),
        Slider("revealed", "cause revealed (common cause)", 0, 1, 0.01, 0.5),
    ),
    (
        Panel(
            "tables",
            "P(y | x) at each x",
            Axis(-0.02, 1.02, CHANCE.ticks),
            listed("0, 0", "0, 1", "1, 0", "1, 1"),
            (
                ("first", "x = 0, or cause 0 seen"),
                ("second", "x = 1, or cause 1 seen"),
                ("third", "cause hidden"),
            ),
        ),
        Panel(
            "nats",
            "Nats",
            Axis(-0.03, 1.5, numbered(0, 0.5, 1, 1.5)),
            listed("apart", "joint", "gap", "I(Y₁;Y₂)"),
            (("before", "least loss, and what it differs by"),),
        ),
    ),
    (
        ("independent", "two binary losses"),
        ("joint", "one joint softmax"),
        ("gap", "gap, I(Y₁;Y₂ | X)"),
        ("information", "I(Y₁;Y₂), unconditional"),
    ),
    {
        "S36": {"law": "cause", "strength": 0.9, "revealed": 1},
        "S37": {"law": "cause", "strength": 0.9, "revealed": 0},
        "S39": {"law": "xor", "wrong": 0},
    },
)
WEIGHTS = Explorable(
    "try-weights",
    "Class weights and label noise",
    "Weights multiply the odds that are learnt by w₁/w₀; flipped labels pull the chance towards the "
    "middle. Both can be undone on the probabilities, weights first: divide the odds by w₁/w₀, then take "
    "the flips back by (p − ρ₀)/(1 − ρ₀ − ρ₁).",
    (
        Slider("q", "true chance q", 0.01, 0.99, 0.01, 0.2),
        Slider("w1", "weight of class 1", 0.1, 10, 0.1, 5),
        Slider("w0", "weight of class 0", 0.1, 10, 0.1, 1),
        Slider("flip1", "1 flipped to 0, ρ₁", 0, 0.45, 0.01, 0.1),
        Slider("flip0", "0 flipped to 1, ρ₀", 0, 0.45, 0.01, 0.05),
    ),
    (
        Panel(
            "learnt",
            "What is learnt against the true chance",
            CHANCE,
            CHANCE,
            (("truth", "q"), ("path", "with flips"), ("exact", "and weights"), ("point", "")),
            ("q",),
        ),
        Panel(
            "chain",
            "There and back",
            Axis(-0.02, 1.02, CHANCE.ticks),
            listed("q", "labels", "learnt", "w undone", "undone"),
            (("before", "probability of class 1"),),
        ),
    ),
    (
        ("seen", "chance of a label 1"),
        ("p", "learnt p"),
        ("shift", "shift of the logit, ln w₁/w₀"),
        ("border", "q at which p = ½"),
        ("unweighted", "weights undone"),
        ("undone", "and flips undone"),
    ),
    {"S34": {"q": 0.2, "w1": 5, "w0": 1, "flip1": 0, "flip0": 0}},
)
FIGURES = (LOSS, SOFTMAX, SCORE, LABELS, WEIGHTS)
