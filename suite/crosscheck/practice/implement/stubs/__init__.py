"""The eight files that a learner gets, each with a function to write."""
