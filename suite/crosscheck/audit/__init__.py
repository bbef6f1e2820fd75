"""The loss check: any Keras loss against exact theory, and against what people do with it."""
