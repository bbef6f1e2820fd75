"""Six baselines to improve, marked over 32 paired seeds on reserved rows that answer a few times."""
