"""The six programs that a learner gets, each runnable, each with one number to better."""
