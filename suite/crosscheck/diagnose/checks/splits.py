"""Training and validation: is the tail like the head, do they share rows, does the order matter?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import keras
import numpy as np
from scipy import special, stats

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, outputs_of
from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose._saying import fault, fine, note, number, undecided
from crosscheck.diagnose.checks._label_facts import SOFT

TAIL, SHARED, SCALE, ORDER = "validation-split", "validation-is-apart", "validation-scale", "order"
LEVEL = 0.0005  # of a permutation test here; there are two, beside those that Holm shares out
LEAST = -600.0  # the logarithm of a chance, below which a float is 0
IN_BLOCKS = 0.00005  # of it, for rows in blocks of a class each, of which few rows can tell
APART = 0.25  # total variation between the labels of tail and head from which on they are told apart
DRAWS = 9999
SCALED = 16.0  # how many times as wide one part is as the other where they were hardly prepared alike
LEAK = 0.05  # share of the validation rows that must be training rows


def splits(program: Program) -> Iterator[Finding]:
    """What is wrong with how rows are held out, and with their order."""
    if program.validation_split and program.validation is None:
        for output in outputs_of(program):
            yield from tail_like_head(program, output)
    if program.validation is not None:
        yield from apart(program.training, program.validation)
        yield from scaled_alike(program.training, program.validation)
    yield from ordered(program)


# --- the tail ---------------------------------------------------------------------------------------------


def tail_like_head(program: Program, output: Output) -> Iterator[Finding]:
    """Whether the last rows, which `validation_split` holds out, have labels like the others.

    Two exact tests share a level. Among all orders of these labels, how many have a tail so unlike its head?
    The statistic is χ² of the classes' counts, its null distribution hypergeometric. And how many put each
    class into one block, where these rows do?
    """
    classes = classes_of_rows(output)
    if classes is None or not program.training.is_complete:
        return
    start = int(len(classes) * (1 - program.validation_split))  # as Keras cuts
    if start <= 0 or start >= len(classes):
        return
    total = np.bincount(classes)
    tail = np.bincount(classes[start:], minlength=len(total))
    head = total - tail
    p, distance = exact_p(total, tail), float(np.abs(tail / tail.sum() - head / head.sum()).sum() / 2)
    in_blocks = chance_of_blocks(classes)
    is_sorted = in_blocks <= IN_BLOCKS
    measured = (
        f"validation_split={program.validation_split:g} holds out the last {tail.sum()} rows, unshuffled: "
        f"their labels differ from the others' by {distance:.2f} in total variation (p = {p:.2g})"
        + (f", and each class is a block of rows (p = {in_blocks:.2g})" if is_sorted else "")
    )
    if (p > LEVEL - IN_BLOCKS and not is_sorted) or distance < APART:
        yield fine(TAIL, measured, output)
        return
    absent = int(((head == 0) & (tail > 0)).sum())
    untrained = f"; {absent} of {int((tail > 0).sum())} classes in it are never trained" if absent else ""
    yield fault(
        TAIL,
        f"{measured}{untrained}.",
        "The validation is of another distribution than the training: its loss says little of either.",
        "order = np.random.permutation(len(x)); x, y = x[order], y[order]",
        output,
        decided="statistical",
    )


def classes_of_rows(output: Output) -> np.ndarray | None:
    """A class a row, numbered from 0; None where rows have several labels, or numbers that are no classes."""
    y = output.labels
    if y is None or not output.anatomy.labels or y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(1) if is_one_of_many(y) else None
    if y is None or y.ndim > 2 or (y.ndim == 2 and y.shape[1] != 1):
        return None
    values, classes = np.unique(y.ravel(), return_inverse=True)
    return classes if 1 < len(values) <= max(2, len(y) // 4) else None


def is_one_of_many(y: np.ndarray) -> bool:
    """Whether every row sums to 1 and has most of it in one column, as one-hot rows have, smoothed or not."""
    return bool((np.abs(y.sum(1, dtype="float64") - 1) <= SOFT).all() and (y.max(1) > 0.5).all())


def chance_of_blocks(classes: np.ndarray) -> float:
    """The share of all orders of these labels in which each class is one block; 1 where these are in none."""
    counts = np.bincount(classes)
    if int((np.diff(classes) != 0).sum()) != len(counts) - 1:
        return 1.0
    ways = special.gammaln(len(counts) + 1) + special.gammaln(counts + 1).sum()
    return float(np.exp(max(LEAST, ways - special.gammaln(len(classes) + 1))))


def exact_p(total: np.ndarray, tail: np.ndarray) -> float:
    """The share of orders of labels whose tail is as unlike the whole as this one, this one counted in."""
    present = total[total > 0]
    expected = present * (tail.sum() / total.sum())
    unlike = lambda counts: ((counts - expected) ** 2 / expected).sum(-1)
    drawn = np.random.default_rng(0).multivariate_hypergeometric(present, int(tail.sum()), DRAWS, "marginals")
    as_unlike = int((unlike(drawn) >= unlike(tail[total > 0]) - 1e-9).sum())
    return (1 + as_unlike) / (1 + DRAWS)


# --- shared rows ------------------------------------------------------------------------------------------


def apart(training: Data, validation: Data) -> Iterator[Finding]:
    """Whether validation rows are training rows, beside how often training rows are one another's.

    Rows of few values repeat by nature: then they do so within the training too. Fisher's exact test.
    """
    mine, theirs = hashes(training), hashes(validation)
    if not len(mine) or not len(theirs):
        return
    counts = {row: int(n) for row, n in zip(*np.unique(mine, return_counts=True), strict=True)}
    shared = sum(row in counts for row in theirs)
    repeated = sum(counts[row] > 1 for row in mine)
    table = [[shared, len(theirs) - shared], [repeated, len(mine) - repeated]]
    p = float(stats.fisher_exact(table, alternative="greater").pvalue)
    bound = "" if training.is_complete and validation.is_complete else " (of the rows that were read)"
    measured = (
        f"{shared} of {len(theirs)} validation rows are training rows, {repeated} of {len(mine)} training "
        f"rows occur twice{bound}"
    )
    if shared / len(theirs) >= LEAK and p <= LEVEL:
        yield fault(
            SHARED,
            f"{measured} (p = {p:.2g}).",
            "The validation asks for what was trained: learnt and remembered look the same.",
            "split first, and by group where rows belong together",
            decided="statistical",
        )
    elif shared:
        yield note(SHARED, f"{measured}.", "They say nothing of rows that were not trained.")
    else:
        yield fine(SHARED, measured)


def scaled_alike(training: Data, validation: Data) -> Iterator[Finding]:
    """Whether the inputs of both were prepared alike: how wide the middle half of all their numbers is.

    A question and no fault: there is no saying that other inputs were not meant.
    """
    pairs = zip(keras.tree.flatten(training.x), keras.tree.flatten(validation.x), strict=False)
    for mine, theirs in pairs:
        widths = [middle_half(array) for array in (mine, theirs)]
        if min(widths) > 0 and max(widths) >= SCALED * min(widths):
            yield undecided(
                SCALE,
                f"Half of all training inputs lie within {number(widths[0])}, of the validation's within "
                f"{number(widths[1])}.",
                "If one of them was scaled and the other was not, the validation says nothing.",
            )


def middle_half(array: np.ndarray) -> float:
    """The distance of the quartiles of all numbers; 0 where they are none, or whole classes of words."""
    if array.dtype.kind not in "fiu" or not array.size:
        return 0.0
    low, high = np.nanpercentile(array, [25, 75])
    return float(high - low) if np.isfinite(high - low) else 0.0


def hashes(data: Data) -> np.ndarray:
    """A checksum of each row of the inputs, all of them together."""
    arrays = [np.ascontiguousarray(array) for array in keras.tree.flatten(data.x)]
    if not arrays or any(array.dtype.kind == "O" or len(array) != len(arrays[0]) for array in arrays):
        return np.empty(0, "S16")
    digest = lambda i: hashlib.blake2b(b"".join(a[i].tobytes() for a in arrays), digest_size=16).hexdigest()
    return np.array([digest(i) for i in range(len(arrays[0]))])


# --- order ------------------------------------------------------------------------------------------------


def ordered(program: Program) -> Iterator[Finding]:
    """Rows that are shuffled where a layer goes on from the last batch; a validation in any order."""
    stateful = [layer.name for layer in program.model.layers if getattr(layer, "stateful", False) is True]
    mixed = (
        program.shuffle
        if program.training.source in ("arrays", "DataFrame")
        else program.training.is_reshuffled
    )
    if stateful and mixed:
        yield fault(
            ORDER,
            f"{stateful[0]} is stateful, and the rows are shuffled.",
            "It goes on from the state of a row that has nothing to do with this one.",
            "shuffle=False",
        )
    if program.validation is not None and program.validation.is_reshuffled:
        yield note(
            ORDER,
            "The validation data come in another order each time.",
            "`predict` on them cannot be compared with labels that are read apart.",
            "no shuffle in the validation data",
        )
