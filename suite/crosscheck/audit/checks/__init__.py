"""The questions that the audit puts to a loss: against theory, and as people use it."""
