"""Hints: one a check, and other words where an exercise needs them. They ask; none is the solution."""

from __future__ import annotations

from typing import Any

from crosscheck.practice.implement.failure import Failure

HINTS: dict[str, str] = {
    "call": "Call it yourself on two rows, and look at the shapes of what you add and sum.",
    "formula": "Work this input out by hand, term by term, and compare.",
    "centre": "Work this input out by hand, term by term, and compare.",
    "wrong tail": "Which intermediate number cannot be held in float32 here? Is there a way past it?",
    "right tail": "Two large numbers nearly cancel, or a small one was lost beside 1. Which?",
    "dead gradient": "The value may look right: follow the derivative back through every step.",
    "finite": "Print every intermediate result at this input: which is the first that is not finite?",
    "derivative": "Is there a step whose derivative is not that of its value: a clip, a rounding, a stop?",
    "modes": "Does it do in Python what has to be done in tensors?",
    "half precision": "float16 ends at 65504 and at 6e-8, and behind 1 comes 1.001: what leaves that range?",
    "per example": "Which axis is averaged? Every example is to keep its own number.",
    "shift": "A softmax is not changed by adding a number to all logits. What in yours is?",
    "proper": "At which prediction is its expectation least? Try labels that are 1 in 30 % of the cases.",
    "hessian": "Differentiate twice by hand: what is p (1 − p) to be here?",
    "column": "Labels of shape [B, 1] meet values of shape [B]: what is their shape together?",
    "arguments": "Try other values of the argument than its default: where does it drop out of the formula?",
    "axes": "Which of your reductions name the last axis, and which another one or none?",
    "many classes": "What type do the labels have after your cast, and what is the largest number in it?",
    "inverse": "At γ = 0 the logits must come back; at large |z|, is 1 − p still a number?",
}
OF_EXERCISE: dict[tuple[str, str], str] = {
    ("smoothing", "centre"): "How much mass does the true class keep, and how much does each class get?",
    ("brier", "dead gradient"): "The score is bounded; follow its small gradient through your softmax.",
    ("energy", "centre"): "Mind the sign, and on which side of the logarithm T stands.",
    ("energy", "arguments"): "T stands in two places. Check the units: logits over T have none.",
    ("joint", "centre"): "Write the outcomes of two labels down in order, and the number of each.",
    ("focal", "centre"): "1 − p of which class? And is the weight inside the sum?",
    ("focal", "right tail"): "What is 1 − p in float32 once p is within 6e-8 of 1?",
}
OF_A_VALUE = ("centre", "formula")
NEARLY = "Right to a few digits: which intermediate number was rounded, and what did it lose there?"


def hint_for(exercise: str, failure: Failure) -> str:
    """The hint of a failed check; none where the function is not written yet."""
    if "not written yet" in failure.at:
        return "Write it: its docstring says what it takes and gives."
    if failure.check in OF_A_VALUE and is_nearly(failure.measured, failure.expected):
        return NEARLY
    return OF_EXERCISE.get((exercise, failure.check), HINTS.get(failure.check, ""))


def is_nearly(measured: Any, expected: Any) -> bool:
    """Whether two numbers agree to three digits: after a rounding they do, after a wrong formula seldom."""
    if not (isinstance(measured, float) and isinstance(expected, float)):
        return False
    return abs(measured - expected) <= 1e-3 * abs(expected)
