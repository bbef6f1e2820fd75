"""What a device does: one command, one folder, no data and no command line of the package's.

It needs NumPy, Keras and one backend; JAX alone will do.
"""
