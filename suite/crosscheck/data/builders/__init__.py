"""Builders for TensorFlow Datasets of the sets that its catalogue lacks."""
