"""Crosscheck: which textbook claims about cross-entropy hold in real Keras, where, and how sure are we?

Importing `crosscheck` imports neither Keras nor TensorFlow: `crosscheck.lazy` hands them out on first use.
"""

__version__ = "0.2.0"
