"""Builders of Keras models that end in logits, and a classifier chain for dependent labels."""

from crosscheck.models._networks import RadialBasis, perceptron, radial, side_by_side
from crosscheck.models.chain import ClassifierChain

__all__ = ["ClassifierChain", "RadialBasis", "perceptron", "radial", "side_by_side"]
