"""A least-squares problem whose residuals are read off a rolling state, for the tests of derivatives."""

import numpy as np
import tensorflow as tf

from emergence import jacobians
from emergence.introspection import recurrence


def constants(values, dtype="float64"):
    return {name: tf.constant(value, dtype) for name, value in values.items()}


class Rolled:
    """Residuals of a small recurrence: what the jacobian must pass a compiled loop for."""

    rolls = True
    # In the middle of the alphabet and split in two: the order of the names must be kept.
    start_names = frozenset(["scale", "offset"])

    def __init__(self, seeds=2, windows=3, sites=4, size=2):
        rng = np.random.default_rng(1)
        self.batch = (
            tf.constant(rng.standard_normal((seeds, windows, size))),
            tf.constant(rng.standard_normal((seeds, windows, sites))),
            tf.constant(rng.standard_normal((seeds, windows, sites))),
        )
        values = {
            "update": 0.5 * rng.standard_normal((seeds, 2, size, size)),
            "scale": rng.standard_normal((seeds, size)),
            "offset": rng.standard_normal((seeds, size, 1)),
            "read": rng.standard_normal((seeds, size)),
            "gain": rng.standard_normal(seeds),
        }
        self.shapes = {name: value.shape[1:] for name, value in values.items()}
        self.flat = jacobians.flatten(constants(values))

    def start(self, parameters, batch):
        return tf.tanh(
            batch[0] * parameters["scale"][:, None] + parameters["offset"][:, None, :, 0]
        )

    def roll(self, parameters, start, batch):
        drive = recurrence.powers(batch[1], 1, 1.0)
        states, moved = recurrence.roll_with_derivatives(parameters["update"], start, drive)
        return states[:, :, 1:], moved[1:]

    def read(self, parameters, states):
        read = tf.einsum("snta,sa->snt", states, parameters["read"])
        return (parameters["gain"][:, None, None] * tf.tanh(read))[..., None]

    def scale(self, batch):
        return 1.0 + tf.reduce_mean(batch[2] ** 2, axis=2)

    def residuals_at(self, parameters, states, batch):
        error = self.read(parameters, states) - batch[2][..., None]
        return error / self.scale(batch)[..., None, None]

    def residuals(self, parameters, batch):
        drive = recurrence.powers(batch[1], 1, 1.0)
        start = self.start(parameters, batch)
        states = recurrence.roll_polynomial(parameters["update"], start, drive)[:, :, 1:]
        return tf.reshape(self.residuals_at(parameters, states, batch), [start.shape[0], -1])
