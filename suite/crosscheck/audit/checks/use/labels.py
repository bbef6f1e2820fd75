"""Labels that people really pass: right, NaN or an error, never a finite wrong number. (check 11)

What is right depends on the kind:

- sparse: a whole number from 0 to K − 1, and what `ignore_class` names, whose loss is 0; nothing else is.
- binary, multilabel and categorical: a label is a number in a formula. Where that is a polynomial of degree
  up to 3 (cross-entropy 1, Brier 2, focal 1 + γ) its continuation is right outside of [0, 1]; a row that
  does not sum to 1 may be normalised instead. Labels clipped, rounded or cut off are wrong. Where it is no
  polynomial (y ln y) nothing but clipping is known to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import each, near, outcome, parameters, shown, signals, told, whole
from crosscheck.audit.checks.use.inputs import Batch, K, batch, dense, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed

NODES = np.array([0, 1 / 3, 2 / 3, 1])  # four labels fix a polynomial of degree 3
BETWEEN = (1 / 6, 1 / 2, 5 / 6)  # where what is no such polynomial leaves it; one of them may be a chance
ROUNDING = 64 * np.finfo("float32").eps  # of the nodes' values, as the continuation magnifies it
HELD = {"bfloat16": 256, "float16": 2048, "float32": 2**24}  # up to here every whole number has its own place
UNCLIPPED = "another number than inside of the range, NaN or an error"
IMPOSSIBLE = (K, -1, -100)


def out_of_range(subject: Subject) -> Finding:
    """K, −1 and −100 for a class; 2, −1 and −100 where the label is a number in [0, 1]."""
    if not dense(subject):
        values = [v for v in IMPOSSIBLE if v != subject.config.get("ignore_class")]
        return untold("label range", subject, values, "the label is clamped, wrapped or no class")
    if "hinge" in f"{subject.theory} {subject.name}".lower():
        return not_applicable("label range", "a hinge takes labels of -1 and 1")
    given = batch(subject).rows(slice(0, 1))
    along = lambda t: given.labelled(ray(given.y, t))
    return continued("label range", subject, along, (2.0, -1.0, -100.0), "labels are clipped to [0, 1]")


def ray(y: np.ndarray, t: float) -> np.ndarray:
    """The labels with the first one that is 1 replaced by t."""
    moved = y.copy()
    moved[tuple(np.argwhere(y == 1)[0])] = t
    return moved


def rows(subject: Subject) -> Finding:
    """Rows that sum to 2, or hold two classes: the formula's number, or that of the normalised row."""
    if subject.kind != "categorical":
        return not_applicable("label rows", "labels are not rows of shares")
    given = batch(subject).rows(slice(0, 1))
    shared = np.array([[0.5, 0.5, 0.0]])
    hard = [each(subject, given.labelled(np.eye(K)[[k]])) for k in (0, 1)]
    mixed = outcome(each, subject, given.labelled(shared))
    if not signals(mixed) and any(near(mixed, h) for h in hard):
        return wrong_label(
            "label rows", subject, given.labelled(shared), mixed, "only one class of the row counts"
        )
    return continued(
        "label rows",
        subject,
        lambda t: given.labelled(t * shared),
        (2.0,),
        "the row is clipped",
        normalised=True,
    )


def continued(
    check: str,
    subject: Subject,
    along: Callable[[float], Batch],
    outside: tuple[float, ...],
    cause: str,
    normalised: bool = False,
) -> Finding:
    """Held against the polynomial through the values at `NODES`."""
    each(subject, batch(subject))  # a loss that refuses valid labels refuses nothing here
    nodes = [outcome(each, subject, along(t)) for t in NODES]
    if any(signals(node) for node in nodes[1:]):
        return passed(check, f"soft labels are refused already: {shown(nodes[1])}")
    start = [nodes[0]] if not signals(nodes[0]) else []
    table, places = np.array([*start, *nodes[1:]]).reshape(-1), NODES[-len(start) - 3 :]
    between = {t: outcome(each, subject, along(t)) for t in BETWEEN}
    polynomial = all(
        not isinstance(v, str) and near(v, lagrange(places, t) @ table[:, None]) for t, v in between.items()
    )
    for t in outside:
        found = outcome(each, subject, along(t))
        basis = lagrange(places, t)
        right = float(basis @ table)
        slack = ROUNDING * (np.abs(basis) * np.abs(table)).sum()
        if isinstance(found, str) or signals(found) or np.abs(found - right).max() <= slack:
            continue
        flat = near(found, nodes[-1 if t > 1 else 0]) and not near(found, nodes[0 if t > 1 else -1])
        if normalised and flat and near(table[-1], table[-2]):
            continue
        if flat or polynomial:
            return wrong_label(
                check, subject, along(t), found, cause, expected=right if polynomial else UNCLIPPED
            )
    known = "the number that the formula gives" if polynomial else "not clipped; the formula is no polynomial"
    return passed(check, f"labels times or of {outside}: {known}, NaN or an error")


def lagrange(nodes: np.ndarray, t: float) -> np.ndarray:
    """The values at the nodes' weights in the polynomial through them, at t."""
    other = ~np.eye(len(nodes), dtype=bool)
    return np.array([np.prod((t - nodes[o]) / (n - nodes[o])) for n, o in zip(nodes, other, strict=True)])


def not_a_number(subject: Subject) -> Finding:
    """A NaN among the labels shows: NaN in that example's loss, or an error."""
    return untold("label NaN", subject, [np.nan], "NaN is cast to an integer, compared or clipped away")


def fractional(subject: Subject) -> Finding:
    """1.5 is no class; 0.3 and 0.7 are shares, not 0 and 1."""
    if not dense(subject):
        return untold("label fraction", subject, [1.5], "the label is cut off to an integer")
    given = batch(subject).rows(slice(0, 1))
    no, yes = (each(subject, given.labelled(ray(given.y, t))) for t in (0.0, 1.0))
    for t in (0.3, 0.7):
        soft = given.labelled(ray(given.y, t))
        found = outcome(each, subject, soft)
        if not signals(found) and not near(no, yes) and (near(found, no) or near(found, yes)):
            return wrong_label("label fraction", subject, soft, found, "the label is cut off or rounded")
    return passed("label fraction", "labels of 0.3 and 0.7 give neither the loss of 0 nor that of 1")


def ignored(subject: Subject) -> Finding:
    """With `ignore_class` an example of that class has no loss and does not count in the mean."""
    if "ignore_class" not in parameters(subject):
        return not_applicable("ignored label", "there is no `ignore_class`")
    for label in (-100, -1, 0):
        found = badly_ignored(subject, label)
        if found is not None:
            return found
    return passed("ignored label", "ignore_class of -100, -1 and 0: no loss, and not counted in the mean")


def badly_ignored(subject: Subject, label: int) -> Finding | None:
    """Failed where the second example, which has this label, is not ignored; else None."""
    given = batch(subject)
    ignoring: dict[str, Any] = {"ignore_class": label}
    values = each(subject, given, ignore_class=K + 7)
    some = given.labelled(np.where([False, True, False, False], label, given.y))
    kept = some.y != label
    mean = float(values[kept].mean())
    found = outcome(each, subject, some, **ignoring)
    if not isinstance(found, np.ndarray) or not near(found, np.where(kept, values, 0.0)):
        cause, expected = "an ignored example has a loss, or another has none", np.where(kept, values, 0.0)
        return wrong_label("ignored label", subject, some, found, cause, shown(expected), **ignoring)
    if subject.is_class and not near(told(whole(subject, **ignoring)(some.y, some.x)), mean):
        found, cause = told(whole(subject, **ignoring)(some.y, some.x)), "ignored examples count in the mean"
        return wrong_label("ignored label", subject, some, found, cause, mean, **ignoring)
    return None


def too_large(subject: Subject) -> Finding:
    """The first label that the loss's dtype cannot hold, with classes enough for it."""
    if dense(subject):
        return not_applicable("label too large", "labels are not class numbers")
    dtype = str(getattr(subject.make(), "dtype", "float32"))
    if dtype not in ("bfloat16", "float16"):
        held = f"{dtype} holds every class number up to {HELD.get(dtype, 2**53)}"
        return not_applicable("label too large", f"{held}; {halves(subject)}")
    return precise("label too large", subject, dtype, dtype=dtype)


def precise(check: str, subject: Subject, held: str, **arguments: Any) -> Finding:
    label = HELD[held] + 1
    x = np.full((1, label + 2), 0.0 if subject.from_logits else 2.0**-12, "float32")
    x[0, label] = 4.0 if subject.from_logits else 0.5  # the right class's loss is less than any other's
    own, other = (np.array([v]) for v in (label, label - 1))
    found, wrong = (outcome(each, subject, Batch(y, x), **arguments) for y in (own, other))
    if isinstance(wrong, str):  # no answer either where the label fits
        return failed(check, f"{subject.name}(dtype={held!r})", measured=wrong, cause=f"no loss in {held}")
    if signals(found) or not near(found, wrong, 1e-3):
        return passed(check, f"label {label} of {label + 2} classes in {held}")
    return failed(
        check,
        f"x = np.full((1, {label + 2}), {x[0, 0]}); x[0, {label}] = {x[0, label]}; "
        f"{subject.name}(dtype={held!r})(np.array([{label}]), x)",
        measured=shown(found),
        expected=f"less: class {label}'s loss, not class {label - 1}'s; or an error",
        cause=f"`keras.losses.Loss.__call__` casts integer labels to {held}, which has no {label}",
        remedy="keep the loss in float32, or cast the predictions only",
    )


def halves(subject: Subject) -> str:
    """What the same loss would make of it in half precision."""
    if "dtype" not in parameters(subject):
        return "it cannot be asked for half precision"
    found = {held: precise("", subject, held, dtype=held) for held in ("bfloat16", "float16")}
    bad = [f"{HELD[held] + 1} in {held}" for held, finding in found.items() if finding.remedy]
    return f"it would take {' and '.join(bad)} for another class" if bad else "nor is half precision wrong"


def untold(check: str, subject: Subject, labels: list[Any], cause: str) -> Finding:
    """Failed at the first label of the first example that gives a finite number."""
    each(subject, batch(subject))  # a loss that refuses valid labels refuses nothing here
    heard = []
    for label in labels:
        given = batch(subject).rows(slice(0, 1))
        y = given.y.astype("float32")
        y.reshape(-1)[0] = label
        some = given.labelled(y)
        found = outcome(each, subject, some)
        if not signals(found):
            return wrong_label(check, subject, some, found, cause)
        heard.append(f"{label}: {'error' if isinstance(found, str) else 'NaN'}")
    return passed(check, ", ".join(heard))


def wrong_label(
    check: str,
    subject: Subject,
    given: Batch,
    found: Any,
    cause: str,
    expected: Any = "NaN or an error",
    **arguments: Any,
) -> Finding:
    return failed(
        check,
        typed(subject, given, reduction=None, **arguments),
        measured=shown(found),
        expected=expected,
        cause=cause,
        remedy="compare the labels with what they may be; `ops.where(valid, loss, nan)` works in a graph too",
    )


CHECKS = (
    Check("label range", "A label outside its range is no silent number.", out_of_range, "misuse"),
    Check("label rows", "A row that sums to something else than 1 is not cut.", rows, "misuse"),
    Check("label NaN", "A label of NaN shows.", not_a_number, "misuse"),
    Check("label fraction", "A fraction is a share or an error, never a whole label.", fractional, "misuse"),
    Check("ignored label", "What `ignore_class` names does not count.", ignored, "other arguments"),
    Check("label too large", "A class number beyond the dtype is not another class.", too_large),
)
