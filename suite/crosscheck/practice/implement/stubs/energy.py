"""6. The energy of a row of logits: −T ln Σ_k e^(z_k / T), [..., K] to [...].

An outlier score: high where all logits are low. Source: Liu et al. 2020, section 3.1.
"""

from keras import ops


def energy(logits, temperature=1.0):
    """Logits [..., K] and T > 0 to the energy in nats, [...]."""
    z = ops.convert_to_tensor(logits)
    raise NotImplementedError(f"yours to write, with {z.shape} logits")
