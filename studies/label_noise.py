"""Wrong labels: uniform noise is label smoothing, a network memorises them last, and people's are of no T.

Expect: the gradient under uniform noise is that of smoothed labels, to the last digit; a network first takes
flipped images for what they are and then learns their labels by heart, as the gradient comes to be theirs;
where noise goes by the class, the correction finds the clean law; where people label, every image has noise
of its own, and no prediction that is corrected by the average T can tell it. Costs half a minute at the
standard scale. Run it with `crosscheck run label_noise`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import autodiff, data, figures, keras, losses, memorising, noise, pd, rows, smoothing

CLAIM = Claim(
    title="Uniform label noise is label smoothing; people's noise is not what the correction takes it for",
    statement="Cross-entropy is adapted to noisy labels.",
    formula=r"p = T^\top \eta, \qquad \varepsilon \text{ uniform} \iff \alpha = \frac{\varepsilon K}{K - 1}",
    source="the chapter's introduction",
    correct="Trained on noisy labels, cross-entropy learns the noisy law Tᵀη, uniform noise being label "
    "smoothing, and a large network learns wrong labels by heart once it has learnt the right ones. The "
    "correction by T finds η where noise goes by the class alone; people's goes by the image.",
)

SEEDS = {"smoke": 6, "standard": 24, "full": 64}
FEW = {"smoke": 6, "standard": 16, "full": 64}  # of networks
EPS = float(np.finfo("float64").eps)


# --- smoothing: what is uniform noise, on the mean? ----------------------------------------------------

SHARES = (0.1, 0.4)  # ε
SMOOTHING = Check(
    "smoothing",
    "The gradient of cross-entropy, averaged over uniform label noise ε, is that of labels smoothed by "
    "Keras' α = ε K/(K − 1).",
    Identity(ulps=8),
    r"\sum_j T_{yj} \nabla \ell_j = \nabla \ell^{\alpha}_y, \quad \alpha = \frac{\varepsilon K}{K - 1}",
    control="α = ε",
    positive="Keras' own smoothed loss, in its float32",
    settings=("K = 2", "K = 10"),
    exact=True,
)


def measure_smoothing(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Gradients on random logits: of every label, mixed by the noise, and of smoothed labels."""
    for k in (2, 10):
        z, one_hot = np.random.default_rng(k).normal(scale=3, size=(40, k)), np.eye(k)
        y = np.arange(40) % k
        slope = lambda label, z: autodiff.logit_gradient(losses.categorical_crossentropy, label, z)
        by_label = np.stack([slope(np.tile(one_hot[j], (40, 1)), z) for j in range(k)])
        for share in SHARES:
            mixed = np.einsum("nj,jnk->nk", noise.uniform(k, share)[y], by_label)
            alphas, loss = (share * k / (k - 1), share), losses.categorical_crossentropy
            own, wrong = (smoothing.smoothed_gradient(loss, alpha, one_hot[y], z) for alpha in alphas)
            place = {"setting": f"K = {k}", "x": share}
            yield SMOOTHING.rows(mixed, reference=own, resolution=EPS, **place)
            yield SMOOTHING.rows(control=mixed, reference=wrong, resolution=EPS, **place)
            theirs = smoothed_by_keras(one_hot[y], z, alphas[0])
            single = float(np.finfo("float32").eps)
            yield SMOOTHING.rows(positive=theirs, reference=mixed, resolution=single, **place)


def smoothed_by_keras(y: np.ndarray, z: np.ndarray, alpha: float) -> np.ndarray:
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=alpha, reduction=None)
    return autodiff.logit_gradient(loss, y.astype("float32"), z.astype("float32"))


# --- laws: what is learnt, with and without the correction? --------------------------------------------

NOISE = {
    "ε = 0.2": (lambda share: noise.uniform(noise.CLASSES, share), 0.2),
    "ε = 0.4": (lambda share: noise.uniform(noise.CLASSES, share), 0.4),
    "pair flip, 0.3": (lambda share: noise.pair_flip(noise.CLASSES, share), 0.3),
}
EXAMPLES, LOOKED_AT, HIDDEN = 8192, 2000, (32,)

PLAIN = Check(
    "plain",
    "Trained on noisy labels, a network comes to predict the noisy law Tᵀη (root mean square distance).",
    Equal(margin=0.03),
    r"p = T^\top \eta",
    control="held against the law of half of the noise",
    positive="clean labels, held against η",
    population="generator",
    settings=tuple(NOISE),
)
FORWARD = Check(
    "forward",
    "Forward-corrected by the right T, a well-specified model trained on noisy labels predicts η.",
    Equal(margin=0.03),
    r"\arg\min_p \mathbb{E}\bigl[-\ln (T^\top p)_{\tilde y}\bigr] = \eta",
    control="corrected for half of the noise",
    positive="clean labels, and no correction",
    population="generator",
    settings=tuple(NOISE),
)
MISSED, INVENTED = 0.3, 0.1  # ρ₊, ρ₋
THRESHOLD = Check(
    "threshold",
    "Where clean classes are even, a network trained on labels of which 0.3 of the ones and 0.1 of the zeros "
    "are flipped predicts 0.4, not ½: that is the right threshold.",
    Equal(margin=0.02),
    r"\tilde\eta\,\big|_{\eta = 1/2} = \frac{1 - \rho_+ + \rho_-}{2}",
    control="the rates exchanged",
    positive="clean labels, and ½",
    population="generator",
)


def train_laws(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Networks and corrected linear models on three Gaussians whose labels are noisy."""
    clean = np.eye(noise.CLASSES)
    whole = [make(share) for make, share in NOISE.values()]
    half = [make(share / 2) for make, share in NOISE.values()]
    sets = [noise.sampled(seeds, 2 * EXAMPLES, law) for law in (*whole, clean)]
    fresh, _ = noise.sampled([seeds[0] + 10**6], LOOKED_AT, clean)
    eta = noise.posterior(fresh[0])
    x, y = (np.concatenate([pair[i] for pair in sets]) for i in (0, 1))
    *plain, of_clean = np.split(noise.trained(seeds * 4, x, y, None, fresh[0], HIDDEN), 4)
    linear = lambda pair, law: noise.trained(seeds, *pair, law, fresh[0], ())  # type: ignore[call-arg]
    right, half_undone = ([linear(*arm) for arm in zip(sets, laws, strict=False)] for laws in (whole, half))
    uncorrected = linear(sets[-1], None)
    for i, setting in enumerate(NOISE):
        place = {"setting": setting, "seed": seeds}
        laws = [eta @ law for law in (whole[i], half[i])]
        yield PLAIN.rows(*(noise.rms(plain[i], law) for law in laws), **place)
        yield PLAIN.rows(positive=noise.rms(of_clean, eta), **place)
        yield FORWARD.rows(*(noise.rms(arm[i], eta) for arm in (right, half_undone)), **place)
        yield FORWARD.rows(positive=noise.rms(uncorrected, eta), **place)


def train_thresholds(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """What networks predict halfway between two Gaussians, by the noise of their labels."""
    laws = [np.array([[1 - b, b], [a, 1 - a]]) for a, b in ((MISSED, INVENTED), (INVENTED, MISSED), (0, 0))]
    x, y = data.samples([data.GaussianMixture(2.0, 1)], seeds, 4 * EXAMPLES)
    noisy = [
        [noise.relabelled(row, law, np.random.default_rng([s, 2])) for s, row in zip(seeds, y, strict=True)]
        for law in laws
    ]
    inputs, labels = np.concatenate([x] * 3), np.concatenate(noisy).astype("int32")
    middle = np.zeros((1, 1), "float32")
    p = noise.trained(seeds * 3, inputs, labels, None, middle, (16,), 2, 10, 0.01, batch_size=512)
    claim, control, positive = p[:, 0, 1].reshape(3, -1)
    yield THRESHOLD.rows(claim, control, noise.right_threshold(MISSED, INVENTED), seed=seeds)
    yield THRESHOLD.rows(positive=positive, reference=0.5, seed=seeds)


# --- memorising: what becomes of flipped images as training goes on? -----------------------------------

SETS = ("digits", "fashion_mnist")
TRAINED, TESTED, RATE = 300, 1000, 1e-2
WIDTH = (128,)
LOOKS, EARLY = (0, 2, 5, 15, 50, 160), 2  # epochs, and which look is early

EARLY_LEARNING = Check(
    "early_learning",
    "Trained on labels of which 40 % are flipped, a network takes flipped images for what they are and then "
    "unlearns it: from 5 epochs to the end the share falls by 0.2.",
    Exceeds(margin=0.2),
    r"a_5 - a_T, \quad a_t = \Pr(\hat y_t = y \mid \tilde y \ne y)",
    control="a linear model of nine grey values, which learns nothing by heart",
    positive="20 % flipped",
    population="these data sets",
    settings=SETS,
)
MEMORISED = Check(
    "memorised",
    "At the end it has learnt the labels of flipped images by heart: 0.3 more of them than with generalised "
    "cross-entropy.",
    Exceeds(margin=0.3),
    r"\Pr(\hat y = \tilde y \mid \tilde y \ne y)",
    control="a linear model of nine grey values, under either loss",
    positive="20 % flipped",
    population="these data sets",
    settings=SETS,
)
GRADIENT_SHARE = Check(
    "gradient_share",
    "Before, the gradient has come to be that of the flipped images: their share of it rises by 0.3 from the "
    "start to its peak.",
    Exceeds(margin=0.3),
    r"\frac{\sum_{\tilde y \ne y} \lVert p - \tilde y \rVert}{\sum \lVert p - \tilde y \rVert}",
    control="a linear model of nine grey values, which learns nothing by heart",
    positive="a network that is trained on the right labels, and looked at on flipped ones",
    population="these data sets",
    settings=SETS,
)


def train_flipped(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Networks on images with flipped labels, looked at as they go; and linear models of little."""
    x, y, x_test, y_test = memorising.images(name, TRAINED, TESTED)
    course = memorising.followed(seeds, x, y, x_test, y_test, LOOKS, WIDTH, RATE)
    of = dict(zip(memorising.ARMS, range(len(memorising.ARMS)), strict=True))
    little, held_out = (memorising.coarse(part, 3) for part in (x, x_test))
    small = memorising.followed(seeds, little, y, held_out, y_test, LOOKS, (), RATE)
    place = {"setting": name, "seed": seeds}
    whole, fewer = of["cross-entropy"], of["fewer flipped"]
    unlearnt, by_little = (part.true[EARLY] - part.true[-1] for part in (course, small))
    yield EARLY_LEARNING.rows(unlearnt[whole], by_little[whole], positive=unlearnt[fewer], **place)
    risen, of_little = (part.gradient.max(0) - part.gradient[0] for part in (course, small))
    right = risen[of["right labels"]]
    yield GRADIENT_SHARE.rows(risen[whole], of_little[whole], positive=right, **place)
    apart = lambda shares, one, other: shares[of[one]] - shares[of[other]]
    yield MEMORISED.rows(
        apart(course.memorised[-1], "cross-entropy", "generalised"),
        apart(small.memorised[-1], "cross-entropy", "generalised"),
        positive=apart(course.memorised[-1], "fewer flipped", "generalised, fewer flipped"),
        **place,
    )
    for arm, i in of.items():
        for quantity, values in zip(course._fields, course, strict=True):
            along = {**place, "x": np.array(LOOKS)[:, None], "path": arm}
            yield rows.tidy(quantity=quantity, value=values[:, i], **along)


def draw_course(ax, rows: pd.DataFrame) -> None:
    name = next(name for name in reversed(SETS) if (rows["setting"] == name).any())
    part = rows[(rows["setting"] == name) & (rows["path"] == "cross-entropy")]
    labels = {"true": "taken for what they are", "memorised": "as labelled", "gradient": "share of gradient"}
    for quantity, label in labels.items():
        figures.curve(ax, part[part["quantity"] == quantity], label, marker="o")
    ax.set(title=f"Flipped images, {name}", xlabel="epoch", xscale="symlog", ylim=(0, 1))
    ax.set(ylabel="share of the flipped 40 %")
    ax.legend(fontsize=8)


# --- people: is their noise that of a T? ---------------------------------------------------------------

PEOPLE, SPLIT, SEEN = ("fashion_mnist_h",), (4000, 1000), 500
JUDGES = 66  # people who judged an image

HUMAN = Check(
    "human",
    "No prediction p, however good, becomes people's shares by people's average T: beyond what so few people "
    "an image leave to chance, Tᵀp stays 0.02 away from them, by root mean square.",
    Exceeds(margin=0.02),
    r"\sqrt{\min_p \overline{\lVert T^\top p - q \rVert^2} - \min_p \overline{\lVert T^\top p - \tilde q "
    r"\rVert^2}}, \quad 66\,\tilde q \sim T_y",
    control="in place of people's shares others drawn by the image's class alone, from the same T",
    positive="the half of the images on which people disagree most",
    population="splits of this set",
    settings=PEOPLE,
)
HUMAN_TRAINED = Check(
    "human_trained",
    "So of one person's label an image, a network corrected by the average T tells people's shares worse, by "
    "0.02, than one that is not corrected.",
    Exceeds(margin=0.02),
    r"\mathrm{rms}(T^\top p_{\text{corrected}} - q) - \mathrm{rms}(p_{\text{plain}} - q)",
    control="labels drawn anew by the image's class alone, from the same T, and T's rows in place of q",
    positive="the best prediction there is for every image, and q itself",
    population="splits of this set",
    settings=PEOPLE,
    scope=True,
)


def train_on_people(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Networks on one label an image: a person's, or drawn by the class; plain, or corrected by the T."""
    whole = data.load(name)
    q = np.concatenate([whole.y_train, whole.y_test]).astype("float64")
    law = noise.by_class(q)
    x = np.concatenate([data.averaged(part, whole.shape, 8) for part in (whole.x_train, whole.x_test)])
    split = data.random_splits(x, q, seeds, *SPLIT)
    laws = split.y, law[split.y.argmax(-1)]
    people, by_class = (noise.one_label_each(shares, seeds) for shares in laws)
    twice = lambda array: np.concatenate([array] * 2)
    arrays = twice(split.x), np.concatenate([people, by_class])
    trained = [noise.trained(seeds * 2, *arrays, t, twice(split.x_test), (64,), 10) for t in (None, law)]
    (plain, plain_by_class), (corrected, corrected_by_class) = (np.split(p, 2) for p in trained)
    p = [plain, corrected, plain_by_class, corrected_by_class]
    yield from human_rows(p, split.y_test, law, {"setting": name, "seed": seeds})


def human_rows(p: list[np.ndarray], q: np.ndarray, law: np.ndarray, place: dict) -> Iterator[pd.DataFrame]:
    """Distances from shares q [S, M, K] of predictions, plain and corrected: of people, then by the class."""
    clean, few = q.argmax(-1), q[:, :SEEN]
    floor = noise.floors(law, few)
    by_class = noise.rms(p[3] @ law, law[clean]) - noise.rms(p[2], law[clean])
    plain, corrected, best = noise.rms(p[0], q), noise.rms(p[1] @ law, q), floor["people"]
    yield HUMAN_TRAINED.rows(corrected - plain, by_class, positive=best, **place)
    redrawn = [noise.floors(law, noise.redrawn(law, few, JUDGES, place["seed"], i))["people"] for i in (0, 1)]
    beyond = lambda off: np.sqrt(np.maximum(off**2 - redrawn[0] ** 2, 0))
    yield HUMAN.rows(beyond(best), beyond(redrawn[1]), positive=beyond(floor["disputed"]), **place)
    shown = {"plain": plain, "corrected": corrected, "the best for every image": best}
    for arm, value in shown.items():
        yield rows.tidy(quantity="distance from people", path=arm, value=value, **place)
    for arm, part in zip(shown, p[:2], strict=False):
        right = (part.argmax(-1) == clean).mean(-1)
        yield rows.tidy(quantity="accuracy by most people", path=arm, value=right, **place)


def draw_people(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "distance from people"]
    if part.empty:
        ax.text(0.5, 0.5, "fashion_mnist_h is not prepared here", ha="center", transform=ax.transAxes)
        return
    figures.intervals(ax, part.assign(what="distance").set_index(["what", "path", "seed"])["value"])
    ax.set(title="From people's shares q", xlabel="root mean square distance", xlim=(0, None))


def draw_laws(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["check"].isin([PLAIN.id, FORWARD.id]) & rows["arm"].isin(["claim", "control"])]
    named = {
        (PLAIN.id, "claim"): "plain, from Tᵀη",
        (FORWARD.id, "claim"): "corrected, from η",
        (FORWARD.id, "control"): "half corrected, from η",
    }
    named_rows = part.assign(
        name=[named.get(pair, "") for pair in zip(part["check"], part["arm"], strict=True)]
    )
    figures.intervals(
        ax, named_rows[named_rows["name"] != ""].set_index(["name", "setting", "seed"])["value"]
    )
    ax.set(title="Noise by the class", xlabel="root mean square distance", xlim=(0, None))
    ax.legend(fontsize=7)


# --- the study -----------------------------------------------------------------------------------------

CHECKS = (
    SMOOTHING,
    HUMAN,
    HUMAN_TRAINED,
    EARLY_LEARNING,
    MEMORISED,
    GRADIENT_SHARE,
    PLAIN,
    FORWARD,
    THRESHOLD,
)
LAWS = [(law, (0.7, 0.2, 0.1)) for law in ("ε = 0.2", "pair flip, 0.3")]
made = lambda setting: NOISE[setting][0](NOISE[setting][1])
THEORIES = (
    Theory(
        "plain",
        lambda law, eta: float((np.array(eta) @ made(law))[0]),
        lambda law, eta: float(noise.plain_by_search(made(law), np.array(eta))[0]),
        LAWS,
        1e-6,
    ),
    Theory(
        "forward",
        lambda law, eta: eta[0],
        lambda law, eta: float(noise.forward_by_search(made(law), np.array(eta))[0]),
        LAWS,
        1e-5,
    ),
    Theory(
        "threshold",
        lambda *rates: noise.right_threshold(*rates),
        lambda *rates: noise.threshold_by_scan(*rates),
        [(MISSED, INVENTED), (0.0, 0.0), (0.05, 0.4)],
        1e-5,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds, few = range(SEEDS[scale]), range(FEW[scale])
    return [
        *(unit(train_flipped, few, data=name, cost=10) for name in SETS),
        *(unit(train_on_people, few, data=name, cost=10) for name in PEOPLE),
        unit(train_laws, few, cost=20),
        unit(train_thresholds, seeds, cost=5),
        unit(measure_smoothing),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What becomes of flipped images under either loss: at the peak, and at the end."""
    shown = ["true", "memorised", "test"]
    part = rows[rows["quantity"].isin(shown)]
    course = part.pivot_table("value", ["setting", "path", "x"], "quantity", sort=False)
    by_arm = course[shown].groupby(level=["setting", "path"], sort=False)
    best, end = by_arm.max(), by_arm.last()
    columns = {
        "Taken for what they are, at best": best["true"],
        "at the end": end["true"],
        "As labelled, at the end": end["memorised"],
        "Test accuracy, at best": best["test"],
        "its end": end["test"],
    }
    return pd.DataFrame(columns).rename_axis(["Images", "Training"]).reset_index()


def figure(rows: pd.DataFrame):
    """Flipped images along training; people's noise beside noise by the class."""
    canvas, axes = figures.panels(3, 1, height=3.5)
    for draw, ax in zip((draw_course, draw_people, draw_laws), axes, strict=True):
        draw(ax, rows)
    return canvas
