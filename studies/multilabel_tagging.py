"""Several tags at once: a sigmoid learns its tag's chance, a softmax what its target makes of the set.

Expect: trained on what two annotators see, the normalised softmax recovers people's shares q and sigmoids
1 − (1 − q)²; the target decides which tag comes first; Keras' own loss ends elsewhere on TensorFlow. Costs
a quarter of a minute at the standard scale. Run it with `crosscheck run multilabel_tagging`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    figures,
    keras,
    losses,
    optimize,
    pd,
    rows,
    special,
    tagging,
    tags,
)

CLAIM = Claim(
    title="One sigmoid a tag learns each tag's chance; a softmax learns what its target makes of the set",
    statement="Cross-entropy is adapted to multi-label tagging by one sigmoid and one binary loss a tag.",
    formula=r"p_k = P(Y_k = 1 \mid x)",
    source="Introduction; Menon, Rawat, Reddi & Kumar 2019",
    correct="Sigmoids learn P(k ∈ S), whatever the dependence. A softmax on the set as it stands learns that "
    "divided by its sum, on the set divided by its size E[1[k ∈ S]/|S|]: they may put other tags first. "
    "Where S is what two people saw, the last is their share q itself, and sigmoids learn 1 − (1 − q)², "
    "which 1 − √(1 − p) takes back to q. On TensorFlow Keras' own categorical cross-entropy learns none of "
    "these from multi-hot labels, unless deterministic kernels are switched on.",
)
SEEDS = {"smoke": 6, "standard": 64, "full": 64}
EXAMPLES = 4096
COUNTED = "the sample's own frequencies, without training"


# --- two annotators: who learns people's shares? -----------------------------------------------------------

PEOPLE = ("digits", "fashion_mnist_h")
PEOPLE_SEEDS = {"smoke": 6, "standard": 20, "full": 64}

ANNOTATORS = Check(
    "annotators",
    "From the sets that two annotators of an image see, a normalised softmax learns people's shares q: it "
    "predicts what the same model trained on q predicts (total variation, held out).",
    Equal(margin=0.03),
    r"\mathbb{E}\,\frac{1[k \in S]}{|S|} = q_k",
    control="the sets of another image",
    positive="sigmoids trained on such sets, beside sigmoids trained on 1 − (1 − q)²",
    population="splits of this set",
    settings=PEOPLE,
)
ANNOTATORS_SIGMOIDS = Check(
    "annotators_sigmoids",
    "One sigmoid a tag learns 1 − (1 − q)² from the same sets: how often at least one of the two saw it.",
    Equal(margin=0.03),
    r"P(k \in S) = 1 - (1 - q_k)^2",
    control="held against sigmoids trained on q itself",
    positive="a normalised softmax, beside one trained on q",
    population="splits of this set",
    settings=PEOPLE,
)


def train_annotators(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Heads trained on pairs of annotators beside heads trained on the laws, so that misfit cancels."""
    p, q = tagging.annotated(seeds, name)
    place, far = {"setting": name, "seed": seeds}, tagging.variation
    shares = far(p["normalised"], p["normalised, q"])
    once = far(p["sigmoids"], p["sigmoids, law"])
    yield ANNOTATORS.rows(shares, far(p["normalised, another's"], p["normalised, q"]), positive=once, **place)
    yield ANNOTATORS_SIGMOIDS.rows(once, far(p["sigmoids"], p["sigmoids, q"]), positive=shares, **place)
    for head in tags.HEADS:
        yield rows.tidy(quantity="from q", path=head, value=far(p[head], q), **place)
    for head, taught in (("normalised", ""), ("sigmoids", ""), ("sigmoids", ", law")):
        x, y = tagging.binned(p[f"{head}, q"], p[head + taught])
        yield rows.tidy(quantity="learned", path=head + taught, x=x, value=y, setting=name)


def by_pairs(q: tuple[float, ...], shared: bool) -> float:
    """The first class's chance to be in a set of two draws from q, or its mean share of it, by pairs."""
    pairs = [(i, j, a * b) for i, a in enumerate(q) for j, b in enumerate(q)]
    return sum(chance * (0 in (i, j)) / (len({i, j}) if shared else 1) for i, j, chance in pairs)


def draw_annotators(ax, rows: pd.DataFrame) -> None:
    learned = rows[rows["quantity"] == "learned"]
    name = learned["setting"].max()  # Fashion-MNIST, where it is there
    looks = {"normalised": ("normalised softmax", "o"), "sigmoids": ("sigmoids", "o")}
    looks["sigmoids, law"] = ("sigmoids trained on 1 − (1 − q)²", "k+")
    for path, (label, look) in looks.items():
        part = learned[(learned["setting"] == name) & (learned["path"] == path)]
        ax.plot(part["x"], part["value"], look, label=label)
    q = np.linspace(0, 1, 50)
    figures.theory_line(ax, q, q, "q")
    figures.theory_line(ax, q, 1 - (1 - q) ** 2, "1 − (1 − q)²", linestyle=":")
    ax.set(title=f"Two annotators an image, {name}", xlabel="the same head, trained on people's shares q")
    ax.set(ylabel="learned from the sets of two", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(fontsize=8)


# --- laws: what does each head learn? ----------------------------------------------------------------------

TAGS, MARGINALS = "ABCD", (0.7, 0.5, 0.3, 0.3)
DEPENDENCE = (0.0, 0.5, 1.0)
NAMES = ("independent", "half dependent", "nested")
ONE_TAG = {"A": 0.5, "B": 0.1, "C": 0.1, "D": 0.3}
THREE_OR_ONE = {"ABC": 0.5, "D": 0.4, "": 0.1}
LEAD = 0.1  # in logarithms of probabilities: a tenth more

PER_TAG = Check(
    "per_tag",
    "A sigmoid learns its tag's own chance π, independent tags or not (largest error over the tags).",
    Equal(margin=0.02),
    r"p_k = \pi_k",
    control="a softmax on the same sets",
    positive=COUNTED,
    population="generator",
    settings=NAMES,
)
MULTI_HOT = Check(
    "multi_hot",
    "A softmax on the set as it stands learns the chances divided by their sum.",
    Equal(margin=0.02),
    r"p_k = \pi_k / \textstyle\sum_j \pi_j",
    control="the softmax on the set divided by its size",
    positive="that softmax where every set has one tag",
    population="generator",
    settings=(*NAMES, "three or one"),
)
NORMALISED = Check(
    "normalised",
    "A softmax on the set divided by its size learns the mean share, of sets that are not empty.",
    Equal(margin=0.02),
    r"p_k = \mathbb{E}\bigl[1[k \in S] / |S| \,\big|\, S \ne \emptyset\bigr]",
    control="the softmax on the set as it stands",
    positive="that softmax where every set has one tag",
    population="generator",
    settings=(*NAMES, "three or one"),
)
ORDER = Check(
    "order",
    "Which target decides which tag comes first: of {A, B, C} with chance 0.5, {D} with 0.4, the set as it "
    "stands puts A before D, divided by its size D before A, each by a tenth at least.",
    Exceeds(margin=LEAD),
    r"\min\Bigl(\ln\frac{p_A}{p_D}, \ln\frac{p'_D}{p'_A}\Bigr) \ge 0.1",
    control="sets of one tag",
    positive="{A, B} with chance 0.6, {D} with 0.4",
    population="generator",
)


def laws() -> dict[str, np.ndarray]:
    """P(S) by name, [2^L] each."""
    named = {name: tags.dependent(MARGINALS, d) for name, d in zip(NAMES, DEPENDENCE, strict=True)}
    words = {"three or one": THREE_OR_ONE, "one tag": ONE_TAG, "two or one": {"AB": 0.6, "D": 0.4}}
    return named | {name: tags.law_of(chances, TAGS) for name, chances in words.items()}


def train_sets(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Every head on samples of every law."""
    cases = [(head, name) for head in tags.HEADS for name in laws()]
    learned = tags.trained(seeds, [(head, laws()[name]) for head, name in cases], EXAMPLES)
    p = dict(zip(cases, learned, strict=True))
    for name in NAMES:
        law, place = laws()[name], {"setting": name, "seed": seeds}
        counted = np.stack([tags.marginals_of(tags.drawn(law, EXAMPLES, s) / EXAMPLES) for s in seeds])
        off = (tags.furthest(at, MARGINALS) for at in (p["sigmoids", name], p["multi-hot", name], counted))
        claim, control, positive = off
        yield PER_TAG.rows(claim, control, positive=positive, **place)
    for check, head, other in (
        (MULTI_HOT, "multi-hot", "normalised"),
        (NORMALISED, "normalised", "multi-hot"),
    ):
        for name in check.settings:
            law = tags.optimum(head, laws()[name])
            claim, control = (tags.furthest(p[at, name], law) for at in (head, other))
            yield check.rows(claim, control, setting=name, seed=seeds)
        alike = tags.furthest(p[other, "one tag"], tags.optimum(head, laws()["one tag"]))
        yield check.rows(positive=alike, setting=NAMES[0], seed=seeds)
    leads = [leads_apart(p, name) for name in ("three or one", "one tag", "two or one")]
    yield ORDER.rows(leads[0], leads[1], positive=leads[2], seed=seeds)
    for head in tags.HEADS:
        for k, tag in enumerate(TAGS):
            value = p[head, "three or one"][:, k]
            yield rows.tidy(quantity=f"P({tag})", path=head, x=k, value=value, seed=seeds)


def leads_apart(p: dict[tuple[str, str], np.ndarray], name: str) -> np.ndarray:
    """The lesser of A's lead by the set as it stands, and D's by the set divided by its size: [S]."""
    lead = {head: np.log(p[head, name][:, 0]) - np.log(p[head, name][:, 3]) for head in tags.HEADS}
    return np.minimum(lead["multi-hot"], -lead["normalised"])


def draw_order(ax, rows: pd.DataFrame) -> None:
    for i, head in enumerate(tags.HEADS):
        part = (
            rows[rows["quantity"].str.startswith("P(") & (rows["path"] == head)].groupby("x")["value"].mean()
        )
        ax.bar(part.index + 0.26 * (i - 1), part, width=0.24, label=head)
        theory = tags.optimum(head, tags.law_of(THREE_OR_ONE, TAGS))
        label = "theory" if not i else ""
        ax.plot(part.index + 0.26 * (i - 1), theory, "_", color=figures.THEORY, markersize=11, label=label)
    ax.set_xticks(range(len(TAGS)), TAGS)
    ax.set(title="{A, B, C} at 0.5, {D} at 0.4, none at 0.1", ylabel="learned", xlabel="tag", ylim=(0, 0.72))
    ax.legend(fontsize=8, ncols=2)


# --- the loss itself: its least value, its gradient, and Keras' own ----------------------------------------

DTYPES = ("float64", "float32")

TWO_TAGS = Check(
    "two_tags",
    "On two certain tags a softmax costs 2 ln 2 at least, at (½, ½), and its gradient is |S| p − y.",
    Identity(ulps=4),
    r"2 \ln 2, \qquad |S|\,\mathbf{p} - \mathbf{y}",
    control="the set divided by its size",
    positive="sets of one tag, whose gradient is p − y",
    settings=DTYPES,
    exact=True,
)
TWO_TAGS_KERAS = Check(
    "two_tags_keras",
    "Keras' own categorical cross-entropy has this gradient on TensorFlow, as it comes.",
    Identity(ulps=4),
    r"|S|\,\mathbf{p} - \mathbf{y}",
    control="the set divided by its size",
    positive="TensorFlow's deterministic kernels",
    settings=DTYPES,
    exact=True,
    scope=True,
)
KERAS_MEAN = Check(
    "keras_mean",
    "Keras takes the mean over L tags: gradients are an L-th of the sum's, and a λ beside them counts more.",
    Identity(ulps=4),
    r"(\mathbf{p} - \mathbf{y}) / L",
    control="every tag as an output of its own, summed",
    positive="our binary loss",
    settings=("L = 2", "L = 28"),
    exact=True,
)
KERAS_ENDS = Check(
    "keras_ends",
    "There, gradient descent on it ends at the distribution nearest to π: its gradient of multi-hot labels "
    "is p − y, whatever its value.",
    Equal(margin=0.02),
    r"p_k = \max(\pi_k - \tau, 0)",
    control="TensorFlow's deterministic kernels, by which the gradient is that of the value",
    positive="sets of one tag",
    population="generator",
)


def measure_loss(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Gradients and least values of a softmax on sets, and of binary losses of many tags."""
    loss = losses.categorical_crossentropy
    for dtype in DTYPES:
        (z, y), (z_one, one) = tags.points(dtype, 3), tags.points(dtype, 1)
        divided, place = tags.slopes(loss, y / y.sum(1, keepdims=True), z), tags.slope_place(y, dtype)
        yield TWO_TAGS.rows(tags.slopes(loss, y, z), divided, tags.set_slope(y, z), **place)
        place = tags.slope_place(one, dtype)
        yield TWO_TAGS.rows(
            positive=tags.slopes(loss, one, z_one), reference=tags.set_slope(one, z_one), **place
        )
        both, even = np.ones((1, 2), dtype), np.zeros((1, 2), dtype)
        claim, control = (autodiff.numbers(loss(y, even)).astype("float64") for y in (both, both / 2))
        place = {"setting": dtype, "quantity": "least", "resolution": np.finfo(dtype).eps}
        yield TWO_TAGS.rows(claim, control, 2 * np.log(2), **place)
    for count in (2, 28):
        yield from mean_rows(count)


def mean_rows(count: int) -> Iterator[pd.DataFrame]:
    rng = np.random.default_rng(count)
    z, y = rng.normal(0, 3, (40, count)), rng.integers(0, 2, (40, count)).astype("float64")
    own = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype="float64")
    slope = lambda f, y, z: autodiff.logit_gradient(f, y, z).reshape(40, count)
    apart = slope(own, y.reshape(-1, 1), z.reshape(-1, 1))
    theory = (special.expit(z) - y) / count
    place = {"setting": f"L = {count}", "resolution": np.finfo("float64").eps / count}
    yield KERAS_MEAN.rows(slope(own, y, z), apart, theory, **place)
    yield KERAS_MEAN.rows(positive=slope(losses.binary_crossentropy, y, z), reference=theory, **place)


def measure_keras(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Keras' own loss of multi-hot labels, on TensorFlow: its gradient, and where descent by it ends."""
    for dtype in DTYPES:
        own = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None, dtype=dtype)
        z, y = tags.points(dtype, 3)
        with tags.kernels(deterministic=False):
            found = tags.slopes(own, y, z), tags.slopes(own, y / y.sum(1, keepdims=True), z)
        with tags.kernels(deterministic=True):
            sound = tags.slopes(own, y, z)
        yield TWO_TAGS_KERAS.rows(*found, tags.set_slope(y, z), positive=sound, **tags.slope_place(y, dtype))
    off = [
        end_of_descent(seeds, *arm)
        for arm in (("independent", False), ("independent", True), ("one tag", False))
    ]
    yield KERAS_ENDS.rows(off[0], off[1], positive=off[2], seed=seeds)


def end_of_descent(seeds: tuple[int, ...], name: str, deterministic: bool) -> np.ndarray:
    """How far from the distribution nearest to the law's marginals descent on Keras' own loss ends: [S]."""
    own = lambda y, z: keras.losses.categorical_crossentropy(y, z, from_logits=True)
    with tags.kernels(deterministic):
        ends = tags.descended(seeds, own, laws()[name], EXAMPLES)
    return tags.furthest(ends, tags.projected(tags.marginals_of(laws()[name])))


# --- the study ---------------------------------------------------------------------------------------------

CHECKS = (
    ANNOTATORS,
    ANNOTATORS_SIGMOIDS,
    PER_TAG,
    MULTI_HOT,
    NORMALISED,
    ORDER,
    TWO_TAGS,
    TWO_TAGS_KERAS,
    KERAS_ENDS,
    KERAS_MEAN,
)
SHARES = [(0.7, 0.2, 0.1), (0.1, 0.6, 0.3), (0.5, 0.5, 0.0)]
THEORIES = (
    Theory("shared", lambda *q: q[0], lambda *q: by_pairs(q, shared=True), SHARES),
    Theory("seen", lambda *q: 1 - (1 - q[0]) ** 2, lambda *q: by_pairs(q, shared=False), SHARES),
    Theory(
        "learned",
        lambda head, name, k: float(tags.optimum(head, laws()[name])[k]),
        lambda head, name, k: float(tags.optimum_by_search(head, laws()[name])[k]),
        [
            (head, name, k)
            for head in ("sigmoids", "multi-hot", "normalised")
            for name in NAMES
            for k in (0, 3)
        ],
        1e-5,
    ),
    Theory(
        "nearest",
        lambda *point: tags.projected(np.array(point))[0],
        lambda *point: tags.projected_by_search(np.array(point))[0],
        [MARGINALS, (0.9, 0.2, 0.1), (0.3, 0.2, 0.1)],
        1e-5,
    ),
    Theory(
        "certain",
        lambda m: m * np.log(m),
        lambda m: optimize.minimize(lambda z: -special.log_softmax(z)[:m].sum(), np.arange(m) / 9.0).fun,
        [(2,), (3,)],
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        *(unit(train_annotators, range(PEOPLE_SEEDS[scale]), data=name, cost=8) for name in PEOPLE),
        unit(train_sets, seeds, cost=5),
        unit(measure_loss),
        unit(measure_keras, seeds, cost=4, pinned=True),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """How far each head's predictions are from people's shares, and what it learns of {A, B, C} and {D}."""
    people = rows[rows["quantity"] == "from q"].pivot_table("value", "path", "setting", sort=False)
    people = people.rename(columns=lambda name: f"Distance from q, {name}")
    learned = rows[rows["quantity"].str.startswith("P(")].pivot_table("value", "path", "quantity")
    return people.join(learned).rename_axis("Head").rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """What two annotators' sets teach, and what each head learns of sets of several sizes."""
    canvas, axes = figures.panels(2, 1, height=3.6)
    for draw, ax in zip((draw_annotators, draw_order), axes, strict=True):
        draw(ax, rows)
    return canvas
