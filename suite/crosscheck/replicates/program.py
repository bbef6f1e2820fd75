"""The old name of `crosscheck.replicates.backends.current`; goes when the last caller has followed."""

from crosscheck.replicates.backends import current as seam

__all__ = ["seam"]
