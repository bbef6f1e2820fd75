"""Points 1 to 4: against the theory at moderate logits and in both tails; dead gradients; finite numbers."""

from __future__ import annotations

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.checks.theory.bends import first_bend
from crosscheck.audit.checks.theory.direction import rewards_mistakes
from crosscheck.audit.checks.theory.nearly import nearly_a_theory
from crosscheck.audit.checks.theory.relabelled import in_another_order
from crosscheck.audit.checks.theory.silent import at_rest, never_learnt
from crosscheck.audit.claims import is_convention
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.exchanged import described_reverse
from crosscheck.audit.judging import (
    FACTORS,
    Deviation,
    call_as_typed,
    cause_of,
    constant_factor,
    failed_at,
    first_deviation,
    largest_error,
)
from crosscheck.audit.probe import NO_THEORY, Probe, probe_of
from crosscheck.audit.theories import ValueAndGradient, over, probabilities

MODERATE, WRONG, RIGHT = 2e-6, 1e-5, 1e-6
DISTANCES = (5, 6, 7, 8, 10, 12, 14, 15, 16, 17, 18, 20, 25, 30, 35, 40)
CLEAR = 1e-3  # a loss above this in the right tail: smoothed labels, weights
DEAD = 1e-3  # of the expected gradient
FASTEST = 5  # no smooth loss' gradient fades faster than e^(−5t)
BESIDE = 2.0**-7  # of a logit at which a formula may have a kink
EPSILON = float(np.finfo("float32").eps)


def point_sets(subject: Subject) -> list[points.Rows]:
    """Moderate logits with hard labels, and with soft ones where the loss takes them.

    They are called apart, for a soft label may change how Keras reads its neighbours.
    """
    theory = subject.claimed
    hard_only = subject.kind in ("sparse", "ordinal") or subject.hard or (theory and theory.hard)
    hard = points.moderate(subject.kind, soft=False)
    return [hard] if hard_only else [hard, points.moderate(subject.kind, soft=True)]


def centre(subject: Subject) -> Finding:
    """Compares value and gradient with the theory where |z| ≤ 10, and names a factor that none meant.

    That labels and predictions are exchanged is described: a reverse loss may be meant. So is a loss that is
    nearly one of a known theory. A weight of 4 makes the rounding of z count 4 times, here as in the tails.
    """
    if subject.reverse:
        return described_reverse("centre", subject)
    near = nearly_a_theory("centre", subject) if subject.theory is None else None
    if near:
        return near
    tolerance = MODERATE * steepness(subject)
    return compare_with_theory("centre", subject, point_sets(subject), tolerance, "|z| ≤ 10")


def wrong_tail(subject: Subject) -> Finding:
    if subject.theory is None:
        return without_theory("wrong tail", subject, right=False)
    tail = points.tail(subject.kind, right=False)
    return compare_with_theory("wrong tail", subject, [tail], WRONG, "confidently wrong by 15 to 1e4")


def right_tail(subject: Subject) -> Finding:
    """Absolute for a loss of slope 1; a weight of 4 makes the rounding of z count 4 times."""
    if subject.theory is None:
        return without_theory("right tail", subject, right=True)
    tail = points.tail(subject.kind, right=True)
    tolerance = RIGHT * steepness(subject)
    return compare_with_theory("right tail", subject, [tail], tolerance, "confidently right by 15 to 1e4")


def without_theory(check: str, subject: Subject, right: bool) -> Finding:
    """A bend shows without a theory; else the tail cannot be judged."""
    bend = first_bend(subject, right)
    if bend is None:
        return not_applicable(check, NO_THEORY)
    return failed(
        check,
        call_as_typed(subject, bend.z, bend.y),
        measured=bend.measured,
        expected=f"{bend.nearer:.6g}, as one step nearer",
        note="the gradient by the logit that moves; no theory is known, and the loss had come to rest",
        cause="a bend: something is clipped or added from here on",
        remedy="one formula for all logits; what is meant is told with --theory",
    )


def compare_with_theory(
    check: str, subject: Subject, point_sets: list[points.Rows], tolerance: float, region: str
) -> Finding:
    probe, errors = probe_of(subject), []
    if subject.theory is None:
        return not_applicable(check, NO_THEORY)
    note = f"{region}, against {subject.theory} at 50 digits{multiple_in_words(subject)}"
    for z, y in point_sets:
        expected = probe.expected(z, y, factor=check != "centre" or is_meant(subject, probe.factor))
        assert expected is not None
        for head in probe.heads:
            measured = probe(z, y, head=head)
            allowance = (
                rounding_of_p(subject, z) if check == "centre" else rounding_of_z(subject, expected, z)
            )
            deviation = first_deviation(measured, expected, tolerance, allowance)
            if deviation:
                cause = constant_factor(measured, expected) if check == "centre" else ("", "")
                cause = cause if any(cause) else at_one_point(probe, (z, y), deviation, head, tolerance)
                return failed_at(check, subject, deviation, (z, y), tolerance, note, head, cause)
            errors.append(largest_error(measured, expected))
    return passed(check, f"{note}, {' and '.join(probe.heads)}", measured=max(errors), threshold=tolerance)


def at_one_point(
    probe: Probe, place: points.Rows, deviation: Deviation, head: str, tolerance: float
) -> tuple[str, str]:
    """Cause and remedy where a gradient is wrong, and right a little beside that logit; else empty."""
    if deviation.logit < 0:
        return "", ""
    z, y = (np.repeat(array[[deviation.row]], 2, axis=0) for array in place)
    z[:, deviation.logit] += BESIDE, -BESIDE
    expected = probe.expected(z, y)
    assert expected is not None
    slack = rounding_of_z(probe.subject, expected, z) + rounding_of_p(probe.subject, z)[:, None]
    if first_deviation(probe(z, y, head=head), expected, tolerance, slack):
        return "", ""
    return (
        f"the gradient is wrong at this very logit: {BESIDE:g} above and below value and gradient are right",
        "Write it without a kink there, such as softplus(z) − y z; `relu`, `abs` and `maximum` have one.",
    )


def is_meant(subject: Subject, factor: float) -> bool:
    """Whether a multiple of the theory may be meant.

    Where the theory was told it is none, but for a sum over labels in place of their mean. Else nobody means
    a sign, or logarithms to another base.
    """
    if subject.told:
        return is_convention(subject, factor)
    return not any(abs(factor / known - 1) < 1e-3 for known in FACTORS.values())


def multiple_in_words(subject: Subject) -> str:
    """What is not failed where nothing but its values tells what the loss is."""
    factor = subject.parameters.get("factor", 1.0)
    words = f", {factor:.6g} times it" if factor != 1 else ""
    words += f", class weights {list(subject.class_weights)}" if subject.class_weights else ""
    return words + ("; soft labels are something else to it" if subject.hard else "")


def rounding_of_p(subject: Subject, z: np.ndarray) -> np.ndarray:
    """What the rounding of p to float32 costs a loss of binary probabilities, [N]: it sees no better p.

    ln (1 − p) of a p that is off by ε p is off by ε p / (1 − p). A small softmax keeps its relative
    precision.
    """
    if subject.from_logits or over(subject.kind) == "classes":
        return np.zeros(len(z))
    p = probabilities(subject.kind, z)
    with np.errstate(divide="ignore"):
        return (4 * EPSILON * p / (1 - p)).max(-1)


def rounding_of_z(subject: Subject, expected: ValueAndGradient, z: np.ndarray) -> np.ndarray:
    """The `rounding` where a loss may be a difference of terms as large as z: ln (1 + e^z) − y z; else 0."""
    return np.where(np.abs(expected.value[:, None]) > CLEAR, rounding(subject, z), 0)


def rounding(subject: Subject, z: np.ndarray) -> np.ndarray:
    """What the rounding of numbers as large as the logits makes of the loss and its gradient, [N, 1 + K].

    A gradient moves by ¼ of that at most, as far as p (1 − p) goes; of s z it moves s times more.
    """
    slope = steepness(subject)
    shares = np.array([1.0] + [0.25 * slope] * z.shape[-1])
    return EPSILON * np.abs(z).max(-1)[:, None] * slope * shares


def steepness(subject: Subject) -> float:
    """The largest slope for a confident mistake, if it is above 1: the largest weight, or a scale.

    It is the theory's, or else the loss' own.
    """
    probe, places = probe_of(subject), points.tail(subject.kind, right=False, ts=DISTANCES)
    if over(subject.kind) == "classes":
        places = points.of_every_class(*places)
    slopes = probe.expected(*places) or probe(*places, head=probe.heads[0])
    sizes = np.abs(slopes.gradient)
    return max(1.0, float(sizes[np.isfinite(sizes)].max(initial=0.0)))


def dead_gradient(subject: Subject) -> Finding:
    """Looks for vanished gradients by the wrong logit of predictions that are confidently wrong by 5 to 40.

    Only that logit is examined, for another label's gradient would hide a dead one. Without a theory a
    gradient counts as dead where it breaks off, for that of a bounded loss fades like e^(−t) or e^(−2t), and
    the loss must not fall there.
    """
    if subject.claimed is None and (mistaken := rewards_mistakes(subject)):
        return in_another_order("dead gradient", subject) or mistaken
    mistaken = never_learnt(subject)
    if mistaken:
        return mistaken
    probe, kind = probe_of(subject), subject.kind
    z, y = points.tail(kind, right=False, ts=DISTANCES)
    rows, own_logits = np.arange(len(z)), points.own_logit(kind, y)
    sizes = {head: np.abs(probe(z, y, head=head).gradient[rows, own_logits]) for head in probe.heads}
    expected = probe.expected(z, y)
    for head, measured in sizes.items():
        if expected is None:
            wanted_size, least_size = expected_from_nearer(measured, np.abs(z).max(-1))
        else:
            wanted_size = np.abs(expected.gradient[rows, own_logits])
            least_size = DEAD * wanted_size
        dead_rows = np.flatnonzero((wanted_size >= DEAD) & ~(measured >= least_size))
        if len(dead_rows):
            return dead_at(subject, head, (z, y), int(dead_rows[0]), measured, wanted_size)
    resting = at_rest(subject, (z, y), sizes[probe.heads[0]], len(DISTANCES)) if expected is None else None
    if resting:
        return resting
    least = min(float(size.min()) for size in sizes.values())
    note = f"wrong by 5 to 40; the least gradient is {least:.3g}"
    if expected is not None and np.abs(expected.gradient[rows, own_logits]).min() < DEAD:
        note += ", for it is bounded and fades by its own formula"
    return passed("dead gradient", note, measured=least, threshold=DEAD)


def expected_from_nearer(measured: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradient one distance nearer, and a tenth of what fading like e^(−5t) would leave of it: [N] each.

    The rows come distance by distance.
    """
    rows_per_distance = len(measured) // len(DISTANCES)
    nearer = np.concatenate([measured[:rows_per_distance], measured[:-rows_per_distance]])
    step = distance - np.concatenate([distance[:rows_per_distance], distance[:-rows_per_distance]])
    return nearer, 0.1 * nearer * np.exp(-FASTEST * step)


def dead_at(
    subject: Subject,
    head: str,
    place: points.Rows,
    row: int,
    measured: np.ndarray,
    wanted_size: np.ndarray,
) -> Finding:
    deviation = Deviation(row, 0, float(measured[row]), float(wanted_size[row]))
    cause, remedy = cause_of(deviation, head)
    return failed(
        "dead gradient",
        call_as_typed(subject, place[0][row], place[1][row], head),
        measured=deviation.measured,
        expected=deviation.expected,
        threshold=DEAD,
        note="the size of the gradient by the logit that is wrong",
        cause=cause or "the gradient is lost where the prediction is confidently wrong",
        remedy=remedy,
    )


def finite(subject: Subject) -> Finding:
    """Looks for the first number that is not finite, out to |z| = 1000 on both sides."""
    probe: Probe = probe_of(subject)
    z, y = points.everywhere(subject.kind)
    order = np.argsort(np.abs(z).max(-1), kind="stable")
    z, y = z[order], y[order]
    for head in probe.heads:
        deviation = first_infinite(probe(z, y, head=head))
        if deviation:
            cause, remedy = cause_of(deviation, head)
            call = call_as_typed(subject, z[deviation.row], y[deviation.row], head)
            numbers = {
                "measured": deviation.measured,
                "expected": "a finite number",
                "note": deviation.quantity,
            }
            return failed("finite", call, cause=cause, remedy=remedy, **numbers)
    return passed("finite", f"{len(z)} inputs to |z| = 1000, {' and '.join(probe.heads)}")


def first_infinite(measured: ValueAndGradient) -> Deviation | None:
    columns = np.column_stack([measured.value, measured.gradient])
    not_finite = np.argwhere(~np.isfinite(columns))
    if not len(not_finite):
        return None
    row, column = map(int, not_finite[0])
    return Deviation(row, column - 1, float(columns[row, column]), np.nan)


CHECKS = (
    LossCheck("centre", "Value and gradient are the theory's to 2e-6 for |z| ≤ 10.", centre),
    LossCheck("wrong tail", "They are so to 1e-5, relative, confidently wrong up to |z| = 1e4.", wrong_tail),
    LossCheck("right tail", "They are so to 1e-6 where the prediction is right.", right_tail),
    LossCheck(
        "dead gradient",
        "Confidently wrong by 5 to 40, there is a gradient, towards the label.",
        dead_gradient,
    ),
    LossCheck("finite", "Value and gradient are finite up to |z| = 1000 on both sides.", finite),
)
