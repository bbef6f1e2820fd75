"""The two ways in which the program refuses: each message says what was wrong, where, and what to do."""


class CrosscheckError(Exception):
    """Something fell short while running; the process ends with exit code 1."""

    exit_code = 1


class UsageError(CrosscheckError):
    """The request itself cannot be met (unknown name, missing data, no permission); exit code 2."""

    exit_code = 2
