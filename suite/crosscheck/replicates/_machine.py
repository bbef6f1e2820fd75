"""What this machine has to offer."""

from __future__ import annotations

import os


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Returns the bytes that programs can still be given without swapping.

    That is more than what is free: a system that has read files keeps them in memory until it is needed.
    """
    import psutil  # only where the device does not tell: a machine with a GPU may have none

    return psutil.virtual_memory().available
