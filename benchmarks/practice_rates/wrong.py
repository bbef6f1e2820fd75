"""All canonical wrong solutions, with the check that is to name each: the control of the marker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.practice_rates import wrong_labels as labels
from benchmarks.practice_rates import wrong_rest as rest
from benchmarks.practice_rates.right import Functions, focal
from crosscheck.calibration import focal_restored


class Wrong(NamedTuple):
    """A wrong solution: what is wrong, its functions, and the check that is to reject it.

    `right_on` names the backends on which it is right in truth.
    """

    exercise: str
    name: str
    functions: Functions
    check: str

    @property
    def right_on(self) -> tuple[str, ...]:
        return RIGHT_ON.get((self.exercise, self.name), ())


TIE = "max(z, 0) and |z| at a tie"
RIGHT_ON: dict[tuple[str, str], tuple[str, ...]] = {("binary", TIE): ("torch",)}


def of(
    exercise: str, function: str, table: dict[str, tuple[Callable[..., Any], str]], **others: Any
) -> list[Wrong]:
    return [
        Wrong(exercise, name, {**others, function: wrong}, check) for name, (wrong, check) in table.items()
    ]


WRONG: list[Wrong] = [
    *of(
        "binary",
        "binary_crossentropy",
        {
            "p clipped at 1e-7": (labels.binary_clipped, "wrong tail"),
            "ln of a sigmoid, 0 · ln 0": (labels.binary_by_probability, "finite"),
            "ε added to p": (labels.binary_epsilon_added, "wrong tail"),
            "e^z without its maximum": (labels.binary_overflowing, "finite"),
            "mean over the batch's axis": (labels.binary_wrong_axis, "call"),
            "mean of everything": (labels.binary_mean_of_all, "call"),
            "sum over labels": (labels.binary_summed, "centre"),
            "soft labels cast to integers": (labels.binary_labels_cast, "centre"),
            "sigmoid twice": (labels.binary_sigmoid_twice, "centre"),
            "the term of label 0 left out": (labels.binary_one_sided, "centre"),
            "the sign of z": (labels.binary_sign, "centre"),
            TIE: (labels.binary_tie, "centre"),
            "softmax over independent labels": (labels.binary_softmax, "centre"),
        },
    ),
    *of(
        "categorical",
        "categorical_crossentropy",
        {
            "p clipped at 1e-7": (labels.classes_clipped, "wrong tail"),
            "ln of a softmax, 0 · ln 0": (labels.log_of_softmax, "finite"),
            "e^z without its maximum": (labels.log_of_own_softmax, "finite"),
            "ln Σ e^z without its maximum": (labels.own_logsumexp, "finite"),
            "mean over classes": (labels.classes_mean, "centre"),
            "softmax over the batch": (labels.softmax_over_batch, "per example"),
            "sum over the batch": (labels.summed_over_batch, "call"),
            "mean over the batch": (labels.mean_over_batch, "call"),
            "soft labels cast to integers": (labels.classes_labels_cast, "centre"),
            "soft labels by their greatest": (labels.label_by_argmax, "centre"),
            "softmax twice": (labels.softmax_twice, "centre"),
            "logarithms to base 2": (labels.base_two, "centre"),
            "sigmoids for classes": (labels.sigmoids_for_classes, "centre"),
        },
    ),
    *of(
        "sparse",
        "sparse_categorical_crossentropy",
        {
            "p clipped at 1e-7": (labels.sparse_clipped, "wrong tail"),
            "ln of a softmax, 0 · ln 0": (labels.sparse_log_of_softmax, "finite"),
            "ln Σ e^z without its maximum": (labels.sparse_own_logsumexp, "finite"),
            "mean over classes": (labels.sparse_mean, "centre"),
            "labels cast to 8 bits": (labels.sparse_in_eight_bits, "many classes"),
            "labels [B, 1] kept so": (labels.sparse_column_kept, "many classes"),
            "classes counted from 1": (labels.sparse_from_one, "centre"),
            "softmax over the batch": (labels.sparse_softmax_over_batch, "per example"),
            "mean over the batch": (labels.sparse_mean_over_batch, "call"),
            "softmax twice": (labels.sparse_softmax_twice, "centre"),
            "the sign": (labels.sparse_positive, "centre"),
        },
    ),
    *of(
        "smoothing",
        "smoothed_crossentropy",
        {
            "α read as ε": (labels.alpha_as_epsilon, "centre"),
            "the uniform added, nothing taken": (labels.uniform_added, "centre"),
            "no uniform": (labels.without_uniform, "centre"),
            "α to each class": (labels.alpha_to_each, "centre"),
            "two classes assumed": (labels.two_classes_assumed, "centre"),
            "α ignored": (labels.ignored, "centre"),
            "α is 0.1 always": (labels.a_tenth_always, "arguments"),
            "p clipped at 1e-7": (labels.smoothed_and_clipped, "wrong tail"),
            "ln of a softmax": (labels.smoothed_log_of_softmax, "wrong tail"),
            "predictions smoothed": (labels.predictions_smoothed, "centre"),
            "K taken from the batch": (labels.by_batch_size, "per example"),
        },
    ),
    *of(
        "brier",
        "brier",
        {
            "mean over classes": (rest.brier_mean, "centre"),
            "of logits": (rest.brier_of_logits, "centre"),
            "of sigmoids": (rest.brier_of_sigmoids, "centre"),
            "absolute differences": (rest.brier_unsquared, "centre"),
            "root of the sum": (rest.brier_root, "centre"),
            "the true class alone": (rest.brier_true_class, "centre"),
            "e^z without its maximum": (rest.brier_overflowing, "finite"),
            "softmax over the batch": (rest.brier_over_batch, "per example"),
            "soft labels cast to integers": (rest.brier_labels_cast, "centre"),
            "softmax twice": (rest.brier_softmax_twice, "centre"),
            "p clipped at 1e-3": (rest.brier_clipped, "centre"),
        },
    ),
    *of(
        "energy",
        "energy",
        {
            "the sign": (rest.energy_sign, "centre"),
            "e^z without its maximum": (rest.energy_overflowing, "finite"),
            "T inside alone": (rest.energy_unscaled, "arguments"),
            "T outside alone": (rest.energy_outside_alone, "arguments"),
            "multiplied by T inside": (rest.energy_multiplied, "arguments"),
            "mean in place of sum": (rest.energy_mean, "centre"),
            "the largest logit": (rest.energy_largest, "centre"),
            "of normalised logits": (rest.energy_of_softmax, "centre"),
            "over the batch": (rest.energy_over_batch, "call"),
            "the axis kept": (rest.energy_kept_axis, "call"),
            "exponent capped, ε in the logarithm": (rest.energy_guarded, "right tail"),
        },
    ),
    *of(
        "joint",
        "joint_crossentropy",
        {
            "the last label first": (rest.joint_reversed, "centre"),
            "p clipped at 1e-7": (rest.joint_clipped, "wrong tail"),
            "ln of a softmax": (rest.joint_log_of_softmax, "finite"),
            "ln Σ e^z without its maximum": (rest.joint_overflowing, "finite"),
            "independent labels": (rest.joint_independent, "centre"),
            "the first label alone": (rest.joint_first_label, "centre"),
            "labels counted": (rest.joint_counted, "centre"),
            "divided by L": (rest.joint_per_label, "centre"),
            "a sigmoid an outcome": (rest.joint_sigmoids, "centre"),
            "softmax over the batch": (rest.joint_over_batch, "per example"),
            "mean over the batch": (rest.joint_mean, "call"),
        },
    ),
    *of(
        "focal",
        "focal",
        {
            "ln of a softmax": (rest.focal_by_probability, "finite"),
            "p clipped at 1e-7": (rest.focal_clipped, "wrong tail"),
            "weighted by p": (rest.focal_of_p, "centre"),
            "γ is 2 always": (rest.focal_two_always, "arguments"),
            "times γ": (rest.focal_times_gamma, "centre"),
            "the weight a constant": (rest.focal_stopped, "derivative"),
            "times α = 0.25": (rest.focal_alpha, "centre"),
            "mean over classes": (rest.focal_mean, "centre"),
            "softmax over the batch": (rest.focal_over_batch, "per example"),
            "the weight of the sum": (rest.focal_of_sum, "centre"),
        },
        focal_inverse=focal_restored,
    ),
    *of(
        "focal",
        "focal_inverse",
        {
            "no inverse": (rest.inverse_none, "inverse"),
            "a temperature for the inverse": (rest.inverse_sharpened, "inverse"),
            "the inverse from p, 0/0": (rest.inverse_by_probability, "inverse"),
            "the inverse upside down": (rest.inverse_upside_down, "inverse"),
            "the inverse as probabilities": (rest.inverse_normalised, "inverse"),
            "the inverse for γ = 2 always": (rest.inverse_two_always, "inverse"),
        },
        focal=focal,
    ),
]
