"""Builders of Keras models that end in logits."""

from crosscheck.models.networks import RadialBasis, distance, perceptron, radial, side_by_side, stepped

__all__ = ["RadialBasis", "distance", "perceptron", "radial", "side_by_side", "stepped"]
