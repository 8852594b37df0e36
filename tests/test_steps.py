"""What a training remembers from stage to stage, and from one size to the next."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.settings import Stage
from emergence.steps import begin_stage, carried_of, parameters_of
from emergence.training import train
from emergence.updates import BETA_1, BETA_2, EPSILON


class Bowl:
    """Least squares towards noisy targets, for all three update rules: residuals, losses, scores."""

    def initial_parameters(self, candidates):
        return {"place": np.repeat([[3.0, -1.0], [0.5, 2.0]], candidates, axis=0)}

    def draw(self, seed, batch, window):
        return (tf.random.stateless_normal([2, batch, 2], seed, dtype=tf.float64),)

    def residuals(self, parameters, batch):
        error = parameters["place"][:, None, :] - batch[0]
        return tf.reshape(error, [error.shape[0], -1])

    def objective(self, parameters, batch):
        loss = tf.reduce_mean(self.residuals(parameters, batch) ** 2, axis=1)
        return loss, loss

    def scores(self, parameters, batch):
        scores = batch[0] - tf.reduce_mean(batch[0], axis=1, keepdims=True)
        errors = tf.reduce_sum(scores * parameters["place"][:, None, :], axis=2)
        return scores, errors, self.objective(parameters, batch)[1]


def stage(update="adam", steps=7, **options):
    return Stage(update=update, steps=steps, batch=5, window=1, rate=0.05, **options)


def run(stages, folder, start=None):
    return train(
        Bowl(), stages, seed=3, title="Bowl", checkpoint=folder, checkpoint_seconds=1e9, start=start
    ).tensors


def moments(tensors):
    return {k: v for k, v in carried_of(tensors).items() if k[:2] in ("m/", "v/") or k == "count"}


@pytest.mark.parametrize("refinement", ["natural_gradient", "levenberg_marquardt"])
def test_moments_rest_while_another_rule_refines(tmp_path, refinement):
    alone = run([stage()], tmp_path / "alone")
    refined = run([stage(), stage(refinement)], tmp_path / "refined")
    assert parameters_of(refined)["place"].tobytes() != parameters_of(alone)["place"].tobytes()
    assert moments(refined).keys() == {"m/place", "v/place", "count"}
    for name, value in moments(alone).items():
        assert moments(refined)[name].tobytes() == value.tobytes()
        assert np.abs(value).max() > 0.0


def test_the_next_training_goes_on_with_them(tmp_path):
    """The first step of the next size is Adam's formula with the moments of the size before."""
    before = run([stage(), stage("natural_gradient")], tmp_path / "before")
    after = run([stage(steps=1, carry=True, clip_norm=1e6)], tmp_path / "after", before)
    assert moments(after)["count"] == moments(before)["count"] + 1.0 == 8.0
    place = parameters_of(before)["place"]
    # The gradient that the step saw follows from the first moment; its change from both.
    gradient = (moments(after)["m/place"] - BETA_1 * moments(before)["m/place"]) / (1 - BETA_1)
    second = BETA_2 * moments(before)["v/place"] + (1 - BETA_2) * gradient**2
    np.testing.assert_allclose(moments(after)["v/place"], second, rtol=1e-10)
    first = moments(after)["m/place"] / (1.0 - BETA_1**8)
    change = 0.05 * first / (np.sqrt(second / (1.0 - BETA_2**8)) + EPSILON)
    np.testing.assert_allclose(parameters_of(after)["place"], place - change, rtol=1e-7)


def test_without_carry_they_begin_at_zero(tmp_path):
    before = run([stage(), stage("natural_gradient")], tmp_path / "before")
    fresh = begin_stage(parameters_of(before), stage(), before)
    assert all(not np.any(value) for value in moments(fresh).values())
    # The direction of the natural gradient goes on resting.
    assert carried_of(fresh)["direction"].tobytes() == carried_of(before)["direction"].tobytes()


def test_moments_of_other_parameters_are_not_taken():
    """A network that has grown has more parameters than there are moments."""
    place = {"place": tf.ones([2, 2]), "new": tf.ones([2, 1])}
    before = {"c/m/place": tf.ones([2, 2]), "c/v/place": tf.ones([2, 2]), "c/count": tf.ones([])}
    begun = carried_of(begin_stage(place, stage(carry=True), before))
    assert begun.keys() == {"m/place", "v/place", "m/new", "v/new", "count"}
    assert all(not np.any(value) for value in begun.values())
