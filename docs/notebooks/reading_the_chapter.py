# %% [markdown]
# # Reading the chapter
#
# Which sentences of a textbook chapter on cross-entropy hold, and how is that known? The verdicts come
# with the package: `pip install keras-crosscheck` is all that this notebook needs.

# %%
import json
from collections import Counter
from pathlib import Path

import crosscheck
from crosscheck.claims import sentences

print(len(sentences.IDS), "sentences; the last is", sentences.IDS[-1])

# %% [markdown]
# Each sentence has a verdict, a line of evidence and the checks behind it. `crosscheck show S22` prints
# one in a terminal; here they are counted.

# %%
chapter = json.loads(
    (Path(crosscheck.__file__).parent / "reference" / "chapter.json").read_text(encoding="utf-8")
)
verdicts = Counter(sentence["verdict"] for sentence in chapter["sentences"])
print(verdicts)
for sentence in chapter["sentences"]:
    if sentence["verdict"] == "false":
        print(
            f"{sentence['id']}: {sentence['text']}\n    {sentence['evidence']}\n    → {sentence['correct']}\n"
        )

# %% [markdown]
# A verdict you can see for yourself: the gradient of cross-entropy by the logits is p − y, and it stays
# where p is wrong for sure. That of a squared error fades.

# %%
import numpy as np

z = np.array([-2.0, -8.0, -20.0])  # of an example whose label is 1
p = 1 / (1 + np.exp(-z))
print("cross-entropy", p - 1)
print("squared error", 2 * (p - 1) * p * (1 - p))

# %% [markdown]
# **By this you would be marked:** every sentence has a verdict, and a sentence that is false says what may
# be taught in its place.

# %%
assert [sentence["id"] for sentence in chapter["sentences"]] == list(sentences.IDS)
assert all(sentence["correct"] for sentence in chapter["sentences"] if sentence["verdict"] == "false")
assert np.allclose((p - 1)[-1], -1) and abs(2 * (p - 1) * p * (1 - p))[-1] < 1e-8
