"""The class frequencies of training, taken off the logits."""

import numpy as np

from crosscheck.practice.improve.baselines import balance


def solve(task):
    logits = balance.trained(task).predict(task.x_test)
    counts = np.stack([np.bincount(labels, minlength=10) + 1 for labels in task.y_train])
    return (logits - np.log(counts)[:, None]).argmax(-1)
