"""Replicates: R independent copies of one Keras model, trained as one compiled program.

The weights of the copies are stacked along a leading axis; one vectorised step computes every copy's own
gradient, and one elementwise optimiser moves them all. Each backend has a seam of a few functions
(`tensorflow`, `jax`, `torch`); all else is written once, in `keras.ops`:

core       compile, fit, evaluate, predict, member, save
arms       the arms of one comparison, trained as one
task       what one replicate computes on one batch
program    the compiled pass over the data, for a block of replicates
block      what a block remembers between passes
plan       stacked or one after the other; how many a block
initial    initial weights of all seeds from one built model
"""

from crosscheck.replicates.arms import compare
from crosscheck.replicates.core import History, Replicates, batch_order

__all__ = ["History", "Replicates", "batch_order", "compare"]
