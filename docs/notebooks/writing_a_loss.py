# %% [markdown]
# # Writing a loss
#
# A loss of your own, and what the audit says of it. It needs `pip install keras-crosscheck` alone.

# %%
from keras import ops

from crosscheck.audit import audit

# %% [markdown]
# First as many people write it: probabilities, and a clip against ln 0.


# %%
def clipped(y_true, logits):
    p = ops.clip(ops.softmax(logits, axis=-1), 1e-7, 1 - 1e-7)
    return -ops.sum(ops.cast(y_true, p.dtype) * ops.log(p), axis=-1)


card = audit(clipped, "categorical", "crossentropy", beside=False, from_logits=True)
for finding in card.failures("valid"):
    print(f"{finding.check}: {finding.at}")
    print(f"    measured {finding.measured}, expected {finding.expected}; {finding.cause}")

# %% [markdown]
# A prediction that is wrong by 16 nats gets no gradient: the example that needs it most is not learnt
# from. From the logits nothing is lost.


# %%
def from_logits(y_true, logits):
    return -ops.sum(ops.cast(y_true, logits.dtype) * ops.log_softmax(logits, axis=-1), axis=-1)


sound = audit(from_logits, "categorical", "crossentropy", beside=False, from_logits=True)
print(sound.verdict_line(), [finding.check for finding in sound.failures()])

# %% [markdown]
# **By this you would be marked:** on valid use nothing fails. (Labels of shape [B, 1], which are misuse,
# are still broadcast without a word: `crosscheck.losses` reads them as class numbers.)

# %%
assert "dead gradient" in {finding.check for finding in card.failures()}
assert not sound.failures("valid")
