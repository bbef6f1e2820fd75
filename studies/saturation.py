"""Gradient saturation: dL/dz = p − y, so easy examples fall silent and confident errors do not.

Expect: the identity holds wherever the code keeps the logits; several stock paths lose the gradient of
confidently wrong examples altogether. What is quiet can be dropped; what pulls in the end is not the border
but flipped labels. It costs half a minute at the standard scale on two cores, beside the paths of
`execution_paths`. Run it with `crosscheck run saturation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    concentration,
    data,
    figures,
    keras,
    losses,
    paired,
    paths,
    pd,
    pointwise,
    rows,
    saturating,
    sigmoids,
    special,
)
from crosscheck.studies.execution_paths import BITS, WRITTEN_OUT, draw_errors, path_units, wrong_side
from crosscheck.studies.execution_paths import written_out as formula

CLAIM = Claim(
    title="Cross-entropy's gradient is p − y: it saturates on easy examples and only there",
    statement="The gradient of binary cross-entropy with respect to the logit is p − y. It vanishes on "
    "examples that are classified correctly with confidence, which leaves the model free to learn from the "
    "hard, borderline ones.",
    formula=r"\frac{d\mathcal{L}_{\mathrm{BCE}}}{dz} = p - y, \qquad p = \sigma(z)",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problems 3103375, 3166266",
    correct="The gradient is p − y where the loss is computed from the logit; computed from a probability "
    "that has been rounded or clipped, it is 0 exactly where the error is worst. It dies out on examples "
    "that are right with confidence, and they can be dropped half way without loss. What is left of it comes "
    "to lie on confident errors, mislabelled examples among them, rather than on the border.",
)

SEEDS = {"smoke": 6, "standard": 96, "full": 128}
DTYPES = ("float64", "float32")
SMOOTHED = "labels smoothed by 0.001"  # the error that identities have to see: a gradient off by 0.0005


# --- gradient: is it p − y? ---

LOGITS = np.array([0, 1e-3, 1, 2, 5, 10, 15, 20, 30, 40, 60, 88, 100, 1e3, 1e4])
SOFT_LABELS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)

GRADIENT = Check(
    "gradient",
    "Autodiff gives p − y for |z| up to 10,000 and y from 0 to 1: ours and Keras' on logits.",
    Identity(ulps=4),
    r"p - y",
    control=SMOOTHED,
    positive="the formula written out with Keras' log-sigmoid",
    settings=DTYPES,
    exact=True,
)


def gradient(z: float, y: float) -> float:
    return float(1 / (1 + mpmath.exp(-mpmath.mpf(z))) - y)


def gradient_by_differentiation(z: float, y: float) -> float:
    with mpmath.workdps(50):
        loss = lambda t: y * mpmath.log1p(mpmath.exp(-t)) + (1 - y) * mpmath.log1p(mpmath.exp(t))
        return float(mpmath.diff(loss, z))


GRADIENT_LAW = Theory(
    "gradient", gradient, gradient_by_differentiation, [(-40, 1), (-2, 0), (0, 1), (3, 0.3), (30, 0)]
)


def measure_identity(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """dL/dz on bare logits: of our loss, of Keras' own; smoothed for one control, written out for another."""
    z_grid = np.concatenate([-LOGITS[::-1], LOGITS[1:]])
    y, z = (axis.ravel() for axis in np.meshgrid(SOFT_LABELS, z_grid))
    labels, exact = [f"gradient y={label:g}" for label in y], paths.oracle("binary", z, y).gradient
    for dtype in DTYPES:
        keras_own = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype=dtype)
        own = [pointwise.slopes(loss, z, y, dtype) for loss in (losses.binary_crossentropy, keras_own)]
        off, plain = (pointwise.slopes(loss, z, y, dtype) for loss in (smoothed, formula("binary")))
        place = {"setting": dtype, "quantity": labels, "x": z, "resolution": np.finfo(dtype).eps}
        yield GRADIENT.rows(own, off, exact, positive=plain, **place)


def smoothed(y, z):
    return losses.binary_crossentropy(y, z, 1e-3)


def draw_gradient(ax, rows: pd.DataFrame) -> None:
    z = np.linspace(-100, 100, 801)
    p = 1 / (1 + np.exp(-z))
    figures.theory_line(ax, z, np.abs(p - 1), "|p − y|")
    ax.plot(z, 2 * (1 - p) ** 2 * p, label="squared error", color=figures.PALETTE[6], linewidth=1.2)
    for path, label in (
        ("graph/float32/logits/logits/ours", "ours, float32"),
        ("graph/mixed_float16/dense/probabilities/keras class", "Keras, float16"),
    ):
        part = rows[(rows["path"] == f"binary/tensorflow/cpu/{path}") & (rows["quantity"] == "gradient y=1")]
        part = part[(part["arm"] == "claim") & (part["x"].abs() <= 100)].sort_values("x")
        ax.plot(part["x"], part["value"].abs(), "o", label=label, zorder=6)
    ax.set(title="Gradient of an example with y = 1", xlabel="logit z", ylabel="|dL/dz|")
    ax.legend(loc="upper right", fontsize=7, handlelength=1, handletextpad=0.4, borderaxespad=0)


# --- paths: is it p − y on every execution path? (measured in `execution_paths`) ---

GRADIENT_PATHS = Check(
    "gradient_paths",
    "The same with Keras' own losses, on every execution path: head, entry, mode, dtype policy.",
    Identity(ulps=4),
    r"p - y",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=("tensorflow",),
    scope=True,
    exact=True,
)


def draw_paths(ax, rows: pd.DataFrame) -> None:
    draw_errors(ax, wrong_side(rows))
    ax.set(title="Its error on Keras' paths", xlabel="|z| from 0 to 9984 in each")


# --- sigmoid: is it inside (0, 1), and does the chain rule through it work? ---

MODERATE = 10  # |z| at which p and 1 − p are both well inside any float
POINTS = np.concatenate([-LOGITS[1:], LOGITS])

OPEN_INTERVAL = Check(
    "open_interval",
    "At 5,000 digits a sigmoid of |z| up to 10,000 is neither 0 nor 1, and as far from them as theory says.",
    Identity(ulps=4),
    r"\ln \min(p, 1 - p) = -|z| - \ln(1 + e^{-|z|})",
    control="the same at 50 digits, where it becomes 1",
    positive="the sigmoid as ½ (1 + tanh ½z)",
    exact=True,
)
OPEN_INTERVAL_FLOATS = Check(
    "open_interval_floats",
    "In floats the sigmoid is 1 from z = 17 (float32) or 37 (float64) on, give or take 1.",
    Equal(margin=1),
    r"\lceil (1 + \text{bits of the fraction}) \ln 2 \rceil",
    control="the sigmoid of −z, which becomes 0, by the same rule",
    positive="1 / (1 + e^(−z)) in NumPy",
    settings=DTYPES,
    exact=True,
)
CHAIN_RULE = Check(
    "chain_rule",
    "The chain rule as the chapter writes it, computed factor by factor, gives p − y up to |z| = 10,000 too.",
    Identity(ulps=4),
    r"\frac{p - y}{p\,(1 - p)} \cdot p\,(1 - p) = p - y",
    control=f"up to |z| = {MODERATE}, {SMOOTHED}",
    positive=f"the same up to |z| = {MODERATE}",
    settings=DTYPES,
    scope=True,
    exact=True,
)
DISTANCE_LAW = Theory(
    "distance",
    lambda z: sigmoids.log_distance_law(z),
    lambda z: float(sigmoids.log_distance(sigmoids.by_tangent, np.array([z]), 5_000)[0]),
    [(0,), (3,), (-40,), (1e3,)],
)


def measure_sigmoid(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """How near the sigmoid comes to 0 and 1, at many digits and in floats; the chapter's chain rule."""
    law = np.array([sigmoids.log_distance_law(z) for z in POINTS])
    many, few = sigmoids.MANY_DIGITS, sigmoids.FEW_DIGITS
    own, rounded = (sigmoids.log_distance(sigmoids.by_exponential, POINTS, n) for n in (many, few))
    tangent = sigmoids.log_distance(sigmoids.by_tangent, POINTS, many)
    place = {"x": POINTS, "resolution": np.finfo("float64").eps * np.abs(law)}
    yield OPEN_INTERVAL.rows(own, rounded, law, positive=tangent, **place)
    for dtype in DTYPES:
        one, zero = (sigmoids.reaches(end, sigmoids.in_keras, dtype) for end in (1.0, 0.0))
        by_hand = sigmoids.reaches(1.0, sigmoids.in_numpy, dtype)
        bound = math.ceil((1 - math.log2(np.finfo(dtype).eps)) * math.log(2))
        yield OPEN_INTERVAL_FLOATS.rows(one, zero, bound, positive=by_hand, setting=dtype)
        z = np.arange(61)
        near = 1 - sigmoids.in_keras(z.astype(dtype)).astype("float64")
        yield rows.tidy(quantity="distance", setting=dtype, x=z, value=near)
        yield from chain_rule_rows(dtype)


def chain_rule_rows(dtype: str) -> Iterator[pd.DataFrame]:
    """p − y by the chain rule, for all logits; and for moderate ones, with labels as they are or smoothed."""
    y, z = (axis.ravel() for axis in np.meshgrid((0.0, 1.0), POINTS))
    exact, near = paths.oracle("binary", z, y).gradient, np.abs(z) <= MODERATE
    place = {"setting": dtype, "resolution": np.finfo(dtype).eps}
    labels = [f"chain rule y={label:g}" for label in y]
    whole = sigmoids.chain_rule(z, y, dtype)
    yield CHAIN_RULE.rows(whole, reference=exact, x=z, quantity=labels, **place)
    z, y, exact = z[near], y[near], exact[near]
    off, right = (sigmoids.chain_rule(z, labels, dtype) for labels in (y + 5e-4 * (1 - 2 * y), y))
    yield CHAIN_RULE.rows(None, off, exact, positive=right, x=z, **place)


# --- tails: does it vanish on easy examples, and stay on hard ones? ---

EASY_LOGITS = np.array([1, 2, 5, 10, 20, 40, 60, 80.0])  # e^−80 is still a normal float32
HARD_LOGITS = -np.array([5, 10, 20, 40, 100, 1000.0])

EASY = Check(
    "easy",
    "On easy examples the gradient decays as e^(−|z|), to the last digit of the dtype.",
    Identity(ulps=4),
    r"|p - y| = \frac{1}{1 + e^{|z|}}",
    control=SMOOTHED,
    positive="1 / (1 + e^z) by SciPy",
    settings=DTYPES,
    exact=True,
)
HARD = Check(
    "hard",
    "A confidently wrong example pulls at full strength: 0.993 at |z| = 5, 1 at 1000; a borderline one ½.",
    Identity(ulps=4),
    r"|p - y| = \frac{1}{1 + e^{-|z|}}",
    control=SMOOTHED,
    positive="1 / (1 + e^z) by SciPy",
    settings=DTYPES,
    exact=True,
)


def measure_tails(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The size of the gradient far out on the easy and on the hard side (y = 1), and at the border."""
    hard = np.append(HARD_LOGITS, 0.0)
    for check, z in ((EASY, EASY_LOGITS), (HARD, hard)):
        exact = np.abs(paths.oracle("binary", z, np.ones_like(z)).gradient)
        for dtype in DTYPES:
            own, off = (
                np.abs(pointwise.slopes(loss, z, 1.0, dtype))
                for loss in (losses.binary_crossentropy, smoothed)
            )
            place = {"setting": dtype, "x": z, "resolution": np.finfo(dtype).eps * exact}
            yield check.rows(own, off, exact, positive=special.expit(-z.astype(dtype)), **place)


# --- focus: can quiet examples be left alone, and on which does the gradient come to lie? ---

SETS = ("digits", "mnist", "fashion_mnist")
EPOCHS = {"digits": 32, "mnist": 16, "fashion_mnist": 16}
EXAMPLES = {"smoke": 500, "standard": 3_000, "full": 10_000}  # of a training set; of the digits all
TESTS = 5_000  # of a test set, at most

DROPPED = Check(
    "dropped",
    "Examples with |p − y| under 0.001 half way can be dropped: test accuracy stays, to half a point.",
    Equal(margin=0.005),
    r"\mathrm{accuracy}_{\text{dropped}} = \mathrm{accuracy}_{\text{all}}",
    control="the same examples kept, half of them with the other label",
    positive="only every second of them dropped",
    population="these data sets",
    settings=SETS,
)
FLIPPED = Check(
    "flipped",
    "With a tenth of the labels flipped, borderline examples (p in ½ ± ¼) end with more of the gradient.",
    Exceeds(margin=0.0),
    r"\frac{\sum_{\text{borderline}} |p - y|}{\sum |p - y|} > "
    r"\frac{\sum_{\text{flipped}} |p - y|}{\sum |p - y|}",
    control="a border of ½ ± 0.1",
    positive="before training, when most examples are borderline",
    population="these data sets",
    settings=SETS,
)


def train_parity(seeds: tuple[int, ...], name: str, examples: int) -> Iterator[pd.DataFrame]:
    """Odd class numbers against even ones, with all examples, with some dropped, and with labels flipped."""
    images = data.load(name, TESTS)
    train = images.x_train[:examples], images.y_train[:examples] % 2
    test = images.x_test, images.y_test % 2
    seen = concentration.watch(seeds, *train, *test, EPOCHS[name])
    whole, place = seen.right["all"], {"setting": name, "seed": seeds}
    for arm, of in (
        ("claim", "quiet dropped"),
        ("control", "quiet turned"),
        ("positive", "every second dropped"),
    ):
        error = paired.error(seen.right[of], whole)
        values = {arm: seen.right[of].mean(1), "reference": whole.mean(1), "resolution": error}
        yield DROPPED.rows(**values, **place)
    on_flipped, borderline = concentration.shares(seen.size, seen.flipped, concentration.BORDER)  # [T, S]
    _, narrow = concentration.shares(seen.size, seen.flipped, concentration.NARROW)
    yield FLIPPED.rows(borderline[-1], narrow[-1], on_flipped[-1], **place)
    yield FLIPPED.rows(positive=borderline[0], reference=on_flipped[0], **place)
    along = {"setting": name, "x": np.array(seen.epochs)[:, None], "seed": seeds}
    for quantity, share in ((saturating.FLIPPED, on_flipped), (saturating.BORDERLINE, borderline)):
        yield rows.tidy(quantity=quantity, value=share, **along)
    yield rows.tidy(quantity=QUIET, value=seen.quiet, **place)


QUIET = "quiet half way"


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (GRADIENT, GRADIENT_PATHS, OPEN_INTERVAL, OPEN_INTERVAL_FLOATS, CHAIN_RULE, EASY, HARD,
          DROPPED, FLIPPED)  # fmt: skip
THEORIES = (GRADIENT_LAW, DISTANCE_LAW)


def units(scale: str) -> list[Unit]:
    seeds, size = range(SEEDS[scale]), {**dict.fromkeys(SETS, EXAMPLES[scale]), "digits": 1_297}
    return [
        *path_units(scale, ("binary",), ("tensorflow",)),
        unit(measure_identity),
        unit(measure_sigmoid),
        unit(measure_tails),
        *(unit(train_parity, seeds, data=name, cost=15, examples=size[name]) for name in SETS),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What is quiet half way, what dropping it does, and where the gradient lies in the end: medians."""
    dropped = rows[(rows["check"] == DROPPED.id) & (rows["arm"] == "claim")].groupby("setting", sort=False)
    median = lambda quantity, part=rows: (
        part[part["quantity"] == quantity].groupby("setting", sort=False)["value"].median()
    )
    last = rows[rows["x"] == rows["setting"].map(EPOCHS)]
    columns = {
        "Quiet half way": median(QUIET),
        "Test accuracy, all": dropped["reference"].median(),
        "quiet ones dropped": dropped["value"].median(),
        "Gradient on flipped labels": median(saturating.FLIPPED, last),
        "on borderline examples": median(saturating.BORDERLINE, last),
    }
    return pd.DataFrame(columns).rename_axis("Data").reset_index()


def figure(rows: pd.DataFrame):
    """Gradient, paths, sigmoid; what dropping does, and where the gradient lies."""
    canvas, axes = figures.panels(3, 2, width_ratios=(1, 1.25, 1))
    draw_gradient(axes[0], rows)
    draw_paths(axes[1], rows)
    saturating.draw_interval(axes[2], rows)
    saturating.draw_dropped(axes[3], rows, DROPPED)
    saturating.draw_shares(axes[4], rows, SETS)
    saturating.draw_chain_rule(axes[5], rows)
    return canvas
