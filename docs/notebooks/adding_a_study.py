# %% [markdown]
# # Adding a study
#
# A sentence about cross-entropy, put to the test: does label smoothing keep the optimum where it was? Of a
# coin that shows heads with probability q the smoothed optimum is q (1 − α) + α/2, not q. Here in one
# notebook; in the suite it would be a file of its own and a line in the register. It needs `pip install
# keras-crosscheck` alone.

# %%
import keras
import numpy as np

from crosscheck.claims import Check, Equal, rows
from crosscheck.claims.criteria import judge
from crosscheck.losses import BinaryCrossentropy
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

# %% [markdown]
# The check comes before the run: what is claimed, by how much it may be off, and a control that must fail.

# %%
ALPHA, TOSSES, HEADS = 0.2, 100, 20
OPTIMUM = Check(
    "optimum",
    "Under label smoothing a logit ends where its probability is q (1 − α) + α/2.",
    Equal(margin=0.01),
    r"q (1 - \alpha) + \alpha / 2",
    control="no smoothing, whose optimum is q",
)

# %% [markdown]
# The measurement: sixteen seeds, trained as one.


# %%
def final_probabilities(smoothing):
    x = np.ones((TOSSES, 1), "float32")
    y = (np.arange(TOSSES) < HEADS).astype("float32")[:, None]
    replicas = Replicates(perceptron(1, [], 1), seeds=range(16))
    replicas.compile(keras.optimizers.SGD(1.0), BinaryCrossentropy(label_smoothing=smoothing))
    replicas.fit(x, y, batch_size=TOSSES, epochs=200)
    return 1 / (1 + np.exp(-replicas.predict(x[:1])[:, 0, 0].astype("float64")))


q = HEADS / TOSSES
claim, control = final_probabilities(ALPHA), final_probabilities(0.0)
measured = rows.gathered(
    [OPTIMUM.rows(claim, control, reference=q * (1 - ALPHA) + ALPHA / 2, seed=range(16))]
)
print(measured.groupby("arm")[["value", "reference"]].mean())

# %% [markdown]
# The verdict is read off an interval of the median over seeds.

# %%
verdicts = {}
for arm, of_arm in measured.groupby("arm"):
    estimate = OPTIMUM.criterion.estimate(of_arm, level=0.99)
    verdicts[arm] = judge(estimate, OPTIMUM.criterion.region)
    print(arm, verdicts[arm], f"{estimate.value:+.4f} [{estimate.lo:+.4f}, {estimate.hi:+.4f}]")

# %% [markdown]
# **By this you would be marked:** the claim holds, and the control fails.

# %%
assert verdicts["claim"] == "holds"
assert verdicts["control"] == "fails"
