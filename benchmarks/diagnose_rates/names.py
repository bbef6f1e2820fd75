"""Which row of the table of faults a seeded fault belongs to, and which checks name it rightly.

Several answers may be right: of a learning rate a thousand times too high, that the rate is too high, or that
the loss is not finite. A check is listed where its ✗ sends the reader to what was broken.
"""

from __future__ import annotations

ACTIVATION = "Last activation ≠ loss"
BETWEEN = "Dropout, BN or ReLU between logits and activation"
RANGE = "Labels outside 0…K−1"
UNITS = "Units ≠ classes"
FORM = "Integer labels to a one-hot loss, and the other way"
BINARY = "y outside [0, 1] for BCE"
WEIGHTS = "class_weight: key absent, 3-D, multi-label, multi-output"
METRIC = "Metric ≠ problem"
START = "Zero or constant initialiser"
RATE = "LR too high/low"
MODE = "Train/eval mode gap"
WRONG = "labels-follow-inputs holds-on-other-rows labels-contradicted"  # each names wrong labels first
ARGUMENTS = "(arguments of fit and compile)"

# name of the fault: (row of the table in diagnose.md, checks that name it)
NAMES: dict[str, tuple[str, str]] = {
    "logits to a loss of probabilities": (ACTIVATION, "head-fits-loss"),
    "probabilities to a loss of logits": (ACTIVATION, "head-fits-loss"),
    "softmax over one unit": ("Softmax over one unit", "head-fits-loss labels-units units-differ"),
    "logits of a convolution to a loss of probabilities": ("Softmax/sigmoid in Conv head", "head-fits-loss"),
    "ReLU on the logits": (BETWEEN, "head-fits-loss"),
    "dropout on the logits": (BETWEEN, "head-fits-loss"),
    "softmax in float16": ("dtype float16 softmax", "head-fits-loss"),
    "softmax over the steps": (ACTIVATION, "softmax-axis head-fits-loss"),
    "labels from 1 to K": (RANGE, "labels-in-range labels-units"),
    "padding of −1 not ignored": (RANGE, "labels-in-range"),
    "a unit too few": (UNITS, "labels-units labels-in-range"),
    "K classes on one sigmoid": (UNITS, "labels-units labels-in-range"),
    "integers to a one-hot loss": (FORM, "labels-form"),
    "one-hot to a sparse loss": (FORM, "labels-form"),
    "several labels with a softmax": ("Multi-hot with softmax", "labels-one-of-many head-fits-loss"),
    "labels of −1 and 1": (BINARY, "labels-in-range"),
    "labels of 0 and 255": (BINARY, "labels-in-range"),
    "NaN among the labels": ("(labels that are no numbers)", "labels-are-finite"),
    "NaN or infinity in x": ("NaN/Inf in x", "inputs-are-finite"),
    "class weights from 1 to K": (WEIGHTS, "class-weight"),
    "class weight left out": (WEIGHTS, "class-weight"),
    "class weights of several labels": (WEIGHTS, "class-weight"),
    "class weights with two outputs": (WEIGHTS, "class-weight"),
    "all sample weights zero": ("All-zero sample_weight", "sample-weight"),
    "binary accuracy of K classes": (METRIC, "metric-fits-problem"),
    "threshold ½ on logits": (METRIC, "metric-fits-problem"),
    "accuracy of values": (METRIC, "metric-fits-problem"),
    "validation_split of sorted rows": ("validation_split takes the last rows", "validation-split"),
    "validation rows trained on": ("Train/validation duplicates or leak", "validation-is-apart"),
    "no hidden non-linearity": ("No hidden non-linearity", "hidden-layers-count"),
    "kernels of zeros": (START, "units-differ"),
    "constant kernels": (START, "units-differ"),
    "nothing to train": (ARGUMENTS, "weights-are-trained"),
    "learning rate of 0": (ARGUMENTS, "learning-rate"),
    "no epochs": (ARGUMENTS, "epochs"),
    "labels of other rows": ("Corrupted or misaligned labels", WRONG),
    "label noise": ("Label noise rate", WRONG),
    "a class thinned out": ("Class imbalance", "prior-alone history-below-prior"),
    "inputs in another unit": ("x unscaled", "inputs-scale initial-loss saturated-units"),
    "inputs faded": ("Ignores its input", "uses-its-input prior-alone inputs-scale vanishing-gradients"),
    "large initial logits": ("Bad initial loss", "initial-loss"),
    "penalty too strong": ("Cannot overfit 16 examples", "overfits-few-rows prior-alone"),
    "sigmoids stacked": ("Vanishing gradient", "vanishing-gradients prior-alone overfits-few-rows"),
    "large initial kernels": ("Exploding gradient", "exploding-gradients initial-loss finite-numbers"),
    "ReLU pushed below 0": ("Dying ReLU", "dead-units"),
    "tanh pushed to its ends": ("Saturated activation", "saturated-units"),
    "learning rate too high": (RATE, "learning-rate-high finite-numbers"),
    "learning rate too low": (RATE, "learning-rate-low"),
    "moving averages too slow": (MODE, "modes-agree"),
    "dropout too strong": ("Dropout > .5", "modes-agree overfits-few-rows"),
    "history: no loss below the prior": (
        "Loss not decreasing, stalled",
        "history-below-prior learning-rate-low",
    ),
    "history: too few epochs": ("Underfitting/epochs too few", "still-falling learning-rate-low"),
    "history: overfitting": ("Overfitting", "overfitting"),
    "history: the loss is not finite": ("Loss NaN or > 1e3", "history-finite learning-rate-high"),
}


def row_of(fault: str) -> str:
    return NAMES[fault][0]


def names_of(fault: str) -> tuple[str, ...]:
    return tuple(NAMES[fault][1].split())
