# %% [markdown]
# # Practice: improve
#
# A network that has learnt wrong labels by heart is too sure. Its likelihood is to gain 0.05 at the same
# accuracy, on rows that nobody looks at twice. `crosscheck practice improve` lays six such baselines out.
# It needs `pip install keras-crosscheck` alone.

# %%
import numpy as np

from crosscheck.calibration import fit_temperature
from crosscheck.practice.improve.baselines import temperature
from crosscheck.practice.improve.judging import GOALS, is_passed, judged, laddered
from crosscheck.practice.improve.numbers import NUMBERS
from crosscheck.practice.improve.tasks import task_of

task, y_reserved = task_of("temperature", seed=0, seeds=range(16))
replicas = temperature.trained(task)

# %% [markdown]
# The baseline's logits, and the same ones divided by a temperature that was fitted on the rows held out.

# %%
logits = replicas.predict(task.x_test)
fitted = np.asarray(fit_temperature(replicas.predict(task.x_held), task.y_held))
baseline = NUMBERS["temperature"](logits, y_reserved, task)
improved = NUMBERS["temperature"](logits / fitted[:, None, None], y_reserved, task)
print("loss", np.median(baseline["loss"]).round(3), "→", np.median(improved["loss"]).round(3))

# %% [markdown]
# It is marked by the median over paired seeds, with its interval. The same network against itself gains
# nothing.

# %%
found = judged(GOALS["temperature"], improved, {"baseline": baseline})
itself = judged(GOALS["temperature"], baseline, {"baseline": baseline})
print(laddered(found, []))

# %% [markdown]
# **By this you are marked.**

# %%
assert is_passed(found)
assert not is_passed(itself)
