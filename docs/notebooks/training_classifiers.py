# %% [markdown]
# # Training classifiers
#
# From a Keras model that ends in logits to a temperature for its probabilities, and to the
# spread between seeds. It needs `pip install keras-crosscheck` alone: the digits come with scikit-learn.

# %%
import keras
import numpy as np

from crosscheck.calibration import fit_temperature
from crosscheck.data import load
from crosscheck.losses import SparseCategoricalCrossentropy
from crosscheck.metrics import expected_calibration_error
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

digits = load("digits")
x, y = digits.x_train[:300], digits.y_train[:300]
x_held, y_held = digits.x_train[300:600], digits.y_train[300:600]
x_test, y_test = digits.x_test, digits.y_test

# %% [markdown]
# Eight copies of one model are trained as one. No activation in the head: the loss takes logits, so that
# confident mistakes keep their gradient.

# %%
replicas = Replicates(perceptron(64, [32], 10), seeds=range(8))
replicas.compile(keras.optimizers.Adam(1e-2), SparseCategoricalCrossentropy())
replicas.fit(x, y, batch_size=50, epochs=30)
logits = replicas.predict(x_test).astype("float64")
accuracy = (logits.argmax(-1) == y_test).mean(-1)
print("accuracy over seeds:", accuracy.round(3))

# %% [markdown]
# One temperature a model, fitted on rows that it was not trained on. No decision changes.

# %%
temperatures = np.asarray(fit_temperature(replicas.predict(x_held), y_held))
scaled = logits / temperatures[:, None, None]


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def loss(z):
    return -np.log(np.take_along_axis(softmax(z), y_test[None, :, None], -1)).mean((1, 2))


for name, z in (("as trained", logits), ("scaled", scaled)):
    error = expected_calibration_error(softmax(z), y_test)
    print(f"{name}: loss {np.median(loss(z)):.4f}, calibration error {np.median(error):.4f}")

# %% [markdown]
# **By this you would be marked.**

# %%
assert np.median(accuracy) > 0.85
assert (scaled.argmax(-1) == logits.argmax(-1)).all()
assert temperatures.shape == (8,) and (temperatures > 0).all()
