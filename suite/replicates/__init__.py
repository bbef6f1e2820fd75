"""Replicates: R independent copies of one Keras model, trained as one compiled program.

The weights of all copies are stacked along a leading axis; one vectorised step computes every copy's own
gradient, and one elementwise optimiser moves them all.
"""

from suite.replicates.core import History, Replicates, batch_order

__all__ = ["History", "Replicates", "batch_order"]
