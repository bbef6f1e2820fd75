"""Losses made for wrong labels: what they are least at, what they are bounded by, and what undoes it.

Expect: generalised cross-entropy is least at η^(1/(1−q)), sharpened as by a temperature of 1 − q, which one
multiplication of the logits undoes; the absolute error's sum over the labels is a constant, which makes it
tolerant; the backward correction is unbiased and has no floor; the forward correction computed from logits is
exact where through probabilities it is not. Costs seconds. Run it with `crosscheck run robust_losses`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import autodiff, figures, noise, pd, restoring, robust, rows, special

CLAIM = Claim(
    title="Generalised cross-entropy bounds the harm of wrong labels by sharpening what it predicts",
    statement="Cross-entropy memorises wrong labels; corrected or bounded losses do not.",
    formula=r"\arg\min_p \mathbb{E}_\eta \frac{1 - p_y^q}{q} \propto \eta^{1/(1 - q)}",
    source="the chapter's introduction",
    correct="Bounded losses are tolerant of wrong labels and no proper scores: generalised cross-entropy is "
    "least at η sharpened by a temperature of 1 − q, which multiplying the logits by 1 − q undoes.",
)

SEEDS = {"smoke": 6, "standard": 24, "full": 64}
EPS = float(np.finfo("float64").eps)


# --- sharpening: what does generalised cross-entropy come to predict? ----------------------------------

POWERS, LAWS, EXAMPLES = (0.3, 0.7), ((0.6, 0.4), (0.5, 0.3, 0.2)), 65_536
CASES = tuple((len(law), q) for law in LAWS for q in POWERS)
named_case = lambda k, q: f"K = {k}, q = {q:g}"

GCE_MINIMISER = Check(
    "gce_minimiser",
    "Trained with generalised cross-entropy on labels of the law η, a model comes to predict "
    "η^(1/(1−q)), normalised.",
    Equal(margin=0.02),
    r"p_k \propto \eta_k^{1/(1 - q)}",
    control="cross-entropy",
    positive="the share of the labels, sharpened so",
    population="generator",
    settings=tuple(named_case(*case) for case in CASES),
)
GCE_RESTORED = Check(
    "gce_restored",
    "Multiplying its logits by 1 − q gives η back.",
    Equal(margin=0.02),
    r"\mathrm{softmax}((1 - q)\,z) = \eta",
    control="nothing multiplied",
    positive="cross-entropy, and nothing multiplied",
    population="generator",
    settings=GCE_MINIMISER.settings,
)


def train_sharpened(seeds: tuple[int, ...], k: int) -> Iterator[pd.DataFrame]:
    """The first class's probability of models of biases alone, by q, and with cross-entropy."""
    eta = np.array(next(law for law in LAWS if len(law) == k))
    share, z = robust.trained_biases(eta, POWERS, seeds, EXAMPLES)  # [S, K], [1 + Q, S, K]
    first = lambda logits: special.softmax(autodiff.numbers(logits), -1)[..., 0]
    entropy = special.softmax(z[0], -1)[..., 0]
    for q, logits in zip(POWERS, z[1:], strict=True):
        place = {"setting": named_case(k, q), "seed": seeds}
        sharpened = special.softmax(logits, -1)[..., 0]
        counted = robust.sharpened(share, q)[..., 0]
        law = robust.sharpened(eta, q)[0]
        yield GCE_MINIMISER.rows(sharpened, entropy, law, positive=counted, **place)
        restored = first(restoring.generalised_restored(logits, q))
        yield GCE_RESTORED.rows(restored, sharpened, eta[0], positive=entropy, **place)
    grid = np.linspace(0.02, 0.98, 49)
    if k == 2:
        for q in POWERS:
            curve = robust.sharpened(np.stack([grid, 1 - grid], -1), q)[:, 0]
            yield rows.tidy(quantity=f"sharpened, q = {q:g}", x=grid, value=curve)


def draw_sharpened(ax, rows: pd.DataFrame) -> None:
    figures.theory_line(ax, [0, 1], [0, 1], "p = η: proper", linestyle=":")
    for q in POWERS:
        curve = rows[rows["quantity"] == f"sharpened, q = {q:g}"]
        figures.theory_line(ax, curve["x"], curve["value"], "theory" if q == POWERS[0] else "")
        part = rows[(rows["check"] == GCE_MINIMISER.id) & (rows["arm"] == "claim")]
        mean = part[part["setting"] == named_case(2, q)]["value"].mean()
        ax.plot(LAWS[0][0], mean, "o", label=f"trained, q = {q:g}")
    ax.set(title="Generalised cross-entropy sharpens", xlabel="true chance η", ylabel="predicted p")
    ax.legend(fontsize=8)


# --- bounds: what makes a loss tolerant? ---------------------------------------------------------------

CONSTANT_SUM = Check(
    "constant_sum",
    "Summed over all labels that an example could have, the absolute error is 2(K − 1), whatever p.",
    Identity(ulps=4),
    r"\sum_j \lVert e_j - p \rVert_1 = 2\,(K - 1)",
    control="cross-entropy",
    positive="2 − 2 p_j, summed by hand",
    settings=("K = 2", "K = 10"),
    exact=True,
)
GCE_BOUNDS = Check(
    "gce_bounds",
    "The sum of generalised cross-entropy lies between (K − K^(1−q))/q and (K − 1)/q: by how much it is "
    "inside.",
    Exceeds(margin=-1e-9),
    r"\frac{K - K^{1 - q}}{q} \le \sum_j \ell_j \le \frac{K - 1}{q}",
    control="cross-entropy",
    positive="the formula, in NumPy",
    settings=tuple(f"K = {k}, q = {q:g}" for k in (2, 10) for q in POWERS),
    exact=True,
)


def measure_sums(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Sums of losses over all labels, at random logits, mild and extreme."""
    for k in (2, 10):
        z = robust.logits(k)
        p = special.softmax(z, -1)
        absolute, entropy = (robust.summed(name, z) for name in ("absolute", "cross-entropy"))
        by_hand = (2 - 2 * p).sum(-1)
        place = {"setting": f"K = {k}", "resolution": EPS * 2 * (k - 1), "reference": 2.0 * (k - 1)}
        yield CONSTANT_SUM.rows(absolute, entropy, positive=by_hand, **place)
        for q in POWERS:
            ends = (k - k ** (1 - q)) / q, (k - 1) / q
            inside = lambda total, ends=ends: np.minimum(total - ends[0], ends[1] - total)
            ours, plain = robust.summed("generalised", z, q), ((1 - p**q) / q).sum(-1)
            arms = (inside(total) for total in (ours, entropy, plain))
            claim, control, positive = arms
            yield GCE_BOUNDS.rows(claim, control, positive=positive, setting=f"K = {k}, q = {q:g}")


# --- corrections: unbiased, without a floor; exact from logits -----------------------------------------

BACKWARD = Check(
    "backward",
    "The backward loss T⁻¹ℓ is unbiased: its mean over the noise is the loss of the clean label.",
    Identity(ulps=16),  # sums of K terms, weighted by T⁻¹
    r"\sum_j T_{ij}\, (T^{-1} \ell)_j = \ell_i",
    control="the T of half of the noise",
    positive="solved by NumPy in place of inverted",
    settings=("uniform", "pair flip"),
    exact=True,
)
BACKWARD_FLOOR = Check(
    "backward_floor",
    "It has no floor: as a network learns noisy labels by heart, its training loss falls below −1.",
    Exceeds(margin=1.0),
    r"-\,\overline{(T^{-1} \ell)_{\tilde y}} \ge 1",
    control="a linear model of four grey values, which learns nothing by heart",
    positive="a logit of 20 for the label of every image, and nothing trained",
    population="these data sets",
)
STABLE = Check(
    "stable",
    "Value and gradient of the forward-corrected loss, from logits of up to 10⁴ in size, are those at 50 "
    "digits, in units of what an ulp of the logits, or of 1, moves.",
    Identity(ulps=8),
    r"\ln \textstyle\sum_i e^{z_i} - \ln \sum_i e^{z_i + \ln T_{i \tilde y}}",
    control="through probabilities, clipped as Keras clips them",
    positive="SciPy's logsumexp and softmax",
    settings=("value", "gradient"),
    exact=True,
)


def measure_corrections(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Mean backward losses over the noise; forward losses and their gradients in the tails."""
    z = np.random.default_rng(0).normal(scale=3, size=(40, 3))
    loss = -special.log_softmax(z, -1)
    for setting, make in (("uniform", noise.uniform), ("pair flip", noise.pair_flip)):
        law, half = make(3, 0.3), make(3, 0.15)
        right, wrong = (robust.backward(loss, one) @ law.T for one in (law, half))
        solved = np.linalg.solve(law, loss.T).T @ law.T
        scale = EPS * np.abs(loss).max(-1, keepdims=True)
        yield BACKWARD.rows(right, wrong, loss, positive=solved, setting=setting, resolution=scale)
    for setting, arms in robust.forward_in_tails().items():
        claim, control, positive, exact, resolution = arms
        yield STABLE.rows(claim, control, exact, positive=positive, setting=setting, resolution=resolution)


def train_backward(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Minus the training loss of networks on digits whose labels are noisy."""
    loss = robust.trained_backward(seeds)
    return BACKWARD_FLOOR.rows(-loss["network"], -loss["little"], positive=-loss["by heart"], seed=seeds)


def draw_backward(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["check"] == BACKWARD_FLOOR.id) & (rows["arm"] != "positive")]
    models = {"claim": "a network", "control": "a linear model\nof four grey values"}
    named = part.assign(model=part["arm"].map(models), loss="backward loss", value=-part["value"])
    figures.intervals(ax, named.set_index(["loss", "model", "seed"])["value"])
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(title="Training loss on noisy digits", xlabel="nats")


# --- the study -----------------------------------------------------------------------------------------

CHECKS = (GCE_MINIMISER, GCE_RESTORED, CONSTANT_SUM, GCE_BOUNDS, BACKWARD, BACKWARD_FLOOR, STABLE)
THEORIES = (
    Theory(
        "sharpened",
        lambda law, q: float(robust.sharpened(np.array(law), q)[0]),
        lambda law, q: float(robust.sharpened_by_search(np.array(law), q)[0]),
        [(law, q) for law in LAWS for q in POWERS],
        1e-5,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        *(unit(train_sharpened, seeds, k=k, cost=3) for k in (2, 3)),
        unit(train_backward, seeds, cost=5),
        unit(measure_sums),
        unit(measure_corrections),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What models trained with generalised cross-entropy predict, before and after the multiplication."""
    part = rows[(rows["arm"] == "claim") & rows["check"].isin([GCE_MINIMISER.id, GCE_RESTORED.id])]
    means = part.pivot_table(["value", "reference"], "setting", "check", sort=False)
    shown = {
        "Case": means.index,
        "Predicted p": means["value", GCE_MINIMISER.id],
        "η^(1/(1−q)), normalised": means["reference", GCE_MINIMISER.id],
        "logits times 1 − q": means["value", GCE_RESTORED.id],
        "True chance η": means["reference", GCE_RESTORED.id],
    }
    return pd.DataFrame(shown).reset_index(drop=True)


def figure(rows: pd.DataFrame):
    """How generalised cross-entropy sharpens, and a loss without a floor."""
    canvas, axes = figures.panels(2, 1, height=3.5)
    for draw, ax in zip((draw_sharpened, draw_backward), axes, strict=True):
        draw(ax, rows)
    return canvas
