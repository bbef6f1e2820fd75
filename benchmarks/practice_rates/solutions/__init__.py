"""Reference solutions of the six baselines: each must pass, and each baseline must not."""
