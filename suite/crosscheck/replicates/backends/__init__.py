"""The seams to the backends: a few functions each for TensorFlow, JAX and PyTorch."""
