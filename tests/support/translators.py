"""A translator's shape, and weights that make everything act on the output."""

import numpy as np

from emergence.introspection.translator import Shape, initial_parameters

WAVENUMBER = 2.0
LINEAR = Shape(hidden=3, degree=2, readout="linear", learnt_start=False, unit=4.0)


def random_weights(shape, seeds=2):
    """Weights far enough from their start that everything acts on the output."""
    rng = np.random.default_rng(3)
    start = initial_parameters(shape, seeds, 0)
    return {name: value + 0.2 * rng.standard_normal(value.shape) for name, value in start.items()}
