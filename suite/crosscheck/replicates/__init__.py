"""Replicates: R independent copies of one Keras model, trained as one compiled program.

The weights of the copies are stacked along a leading axis. One vectorised step computes the gradient of each
copy, and one elementwise optimiser moves them all.
"""

from crosscheck.replicates._arms import compare
from crosscheck.replicates._grid import grid
from crosscheck.replicates._history import History, batch_order
from crosscheck.replicates._replicates import Replicates
from crosscheck.replicates._sweep import SweepError, SweepInterrupted, sweep

# Inside, from the top down: `_replicates` speaks Keras' words, `_fit` goes through epochs and callbacks;
# `_together` and `_one_by_one` hold what is trained; `_blocks`, `_block`, `_pass` go over the data, and
# `_witness` has Keras go beside; `_program` is what is compiled, `_task` what one replicate computes,
# `backends` the rest of the way.
__all__ = [
    "History",
    "Replicates",
    "SweepError",
    "SweepInterrupted",
    "batch_order",
    "compare",
    "grid",
    "sweep",
]
