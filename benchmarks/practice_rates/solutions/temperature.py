"""One temperature a seed, fitted on the rows held out."""

import numpy as np

from crosscheck.calibration import fit_temperature
from crosscheck.practice.improve.baselines import temperature


def solve(task):
    replicas = temperature.trained(task)
    temperatures = np.asarray(fit_temperature(replicas.predict(task.x_held), task.y_held))
    return replicas.predict(task.x_test) / temperatures[:, None, None]
