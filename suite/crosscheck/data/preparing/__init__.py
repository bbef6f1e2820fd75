"""How a set that TensorFlow Datasets has prepared is read, packed and kept."""
