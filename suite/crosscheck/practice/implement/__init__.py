"""Eight losses to write, marked by the audit: the smallest failing input, its cause and a hint."""

from crosscheck.practice.implement.exercises import EXERCISES, Exercise
from crosscheck.practice.implement.marking import Failure, failures_of

__all__ = ["EXERCISES", "Exercise", "Failure", "failures_of"]
