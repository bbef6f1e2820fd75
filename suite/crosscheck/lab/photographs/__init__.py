"""Long trainings of convolutional networks on photographs, which resume after any interruption."""
