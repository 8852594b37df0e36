"""Toy problems that train in an instant, and how they are trained."""

import numpy as np
import pandas as pd
import tensorflow as tf

from emergence.settings import Stage
from emergence.training import train

NEVER = 1e9
"""Seconds between checkpoints, where only the one at the end is wanted."""


def adam(steps, **options):
    return Stage(
        **{"update": "adam", "steps": steps, "batch": 4, "window": 3, "rate": 0.1} | options
    )


def marquardt(steps, **options):
    return adam(steps, **{"update": "levenberg_marquardt", "damping": 1e-8} | options)


class Lines:
    """Linear least squares without noise: every seed has its own line to find."""

    truth = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]])

    def __init__(self, start=None):
        self.start = np.zeros_like(self.truth) if start is None else np.asarray(start, float)
        self.drawn = []

    def initial_parameters(self, candidates):
        return {"slope": np.repeat(self.start, candidates, axis=0)}

    def draw(self, seed, batch, window):
        self.drawn.append((batch, window))
        shape = [len(self.truth), batch, window, 2]
        design = tf.random.stateless_normal(shape, seed, dtype=tf.float64)
        return design, tf.einsum("snwp,sp->snw", design, tf.constant(self.truth))

    def residuals(self, parameters, batch):
        error = tf.einsum("snwp,sp->snw", batch[0], parameters["slope"]) - batch[1]
        return tf.reshape(error, [error.shape[0], -1])

    def objective(self, parameters, batch):
        loss = tf.reduce_mean(self.residuals(parameters, batch) ** 2, axis=1)
        return loss, loss


class Cliff(Lines):
    """Two seeds that walk to the right, one step of the rate each; beyond the edge there is NaN."""

    def __init__(self, edge):
        super().__init__()
        self.edge = edge

    def initial_parameters(self, candidates):
        return {"place": np.array([[0.0], [-0.2]])}

    def draw(self, seed, batch, window):
        return (tf.random.stateless_normal([2, batch, window], seed, dtype=tf.float64),)

    def objective(self, parameters, batch):
        place = parameters["place"][:, 0]
        loss = tf.where(place > self.edge, tf.constant(np.nan, place.dtype), 10.0 - place)
        return loss, loss


def run(problem, stages, folder, **options):
    options = {"seed": 5, "title": "Toy", "checkpoint_seconds": NEVER} | options
    return train(problem, stages, checkpoint=folder / "checkpoint", **options)


def assert_same(one, other):
    """Bit for bit."""
    assert one.parameters.keys() == other.parameters.keys()
    for name, value in one.parameters.items():
        assert value.tobytes() == other.parameters[name].tobytes()
    assert one.loss.tobytes() == other.loss.tobytes()
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)


WALK = adam(300, rate=0.01, final_rate=1.0, clip_norm=1e3)
"""On the cliff: a hundredth per step, times what the guard leaves of the rate."""
