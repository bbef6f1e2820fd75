"""How often the marker of the practice is wrong: canonical wrong solutions, and right ones."""
