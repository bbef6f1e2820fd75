# %% [markdown]
# # Practice: diagnose
#
# A program that does not learn, and what its files show. `crosscheck practice diagnose` lays ten of them
# out, three of them healthy. It needs `pip install keras-crosscheck` alone.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

from crosscheck.practice.diagnose import evidence, observing
from crosscheck.practice.diagnose.faults import FAULTS
from crosscheck.practice.diagnose.recipes import Recipe, program_of

folder = Path(tempfile.mkdtemp())
sick = replace(Recipe(seed=5, epochs=5), **FAULTS["ReLU pushed below 0"].changes)
observing.write(observing.observe(sick), folder, "sick")
files = evidence.read(folder)

# %% [markdown]
# The log says that answers stay near chance: many faults do that. The layers say why.

# %%
print(files.log.round(3))
print(files.layers.round(4))
seen = [name for name in evidence.OBSERVATIONS if evidence.holds(name, files)]
print("true of these files:", "; ".join(seen))

# %% [markdown]
# No hidden output is above 0, though the kernel is spread as it should be: every unit is off for every
# row, and gets no gradient. `crosscheck diagnose`, which sees the program itself, agrees.

# %%
from crosscheck.diagnose import examine

findings = examine(program_of(sick, files.history), seconds=20)
print([f"{finding.check}: {finding.measured}" for finding in findings.faults])

# %% [markdown]
# **By this you would be marked:** the fault is named, with an observation that is true and points to it.

# %%
assert "hidden units are all off" in seen
assert "nothing amiss" not in seen
