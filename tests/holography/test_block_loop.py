"""All levels of a hierarchy in one loop: the same as one level after the other, derivatives included."""

from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf

from emergence.holography import block_loop
from emergence.holography.actions import ComplexPhi4
from emergence.holography.block_loop import turns_of
from emergence.holography.densities import IsingTheory, Phi4Theory
from emergence.holography.hierarchy import Hierarchy, Ranges, real_nvp_flow

PHI4 = Phi4Theory.of(ComplexPhi4.recalled(0.28))
RANGES = Ranges((0.1, 0.5), (-199.8, -199.0))


@pytest.mark.parametrize("side", [2, 4, 16])
@pytest.mark.parametrize("batch", [1, 100, 5000])
def test_every_block_of_every_level_is_taken_once_and_in_order(side: int, batch: int) -> None:
    turns = turns_of(side, batch)
    levels = turns.layer // 2
    assert np.all(np.diff(levels) <= 0), "From the bulk to the boundary."
    for layer in range(2 * (side.bit_length() - 1)):
        own = turns.layer == layer
        counted = turns.counted[own].astype(bool)
        sites = turns.read[own].transpose(0, 2, 1)[counted]
        stride = 2 ** (layer // 2)
        every = np.arange(0, side, stride)
        expected = (every[:, None] * side + every).ravel()
        np.testing.assert_array_equal(np.sort(sites.ravel()), expected)
        written = turns.written[own].transpose(0, 2, 1)
        np.testing.assert_array_equal(written[counted], sites)
        assert np.all(written[~counted] >= side**2), "What is repeated is written elsewhere."
    for written in turns.written:
        assert len(np.unique(written)) == written.size


def test_a_turn_has_as_many_rows_as_a_cache_holds() -> None:
    assert turns_of(16, 512).blocks * 512 == block_loop.ROWS
    assert turns_of(16, 100_000).blocks == 1
    assert turns_of(2, 4).blocks == 1


def results(flow: Hierarchy, one_loop: bool, given: tuple) -> list[np.ndarray]:
    """Both directions, both densities, and derivatives of a function of all by all that is given."""

    @tf.function(jit_compile=True, autograph=False)
    def run(parameters, latents, couplings):
        with tf.GradientTape() as tape:
            tape.watch((parameters, latents))
            field, density = flow.generate(parameters, latents, couplings)
            back, other = flow.invert(parameters, 0.1 - field, couplings)
            score = sum(tf.reduce_sum(tf.sin(each)) for each in (field, back, density**2, other))
        return field, density, back, other, tape.gradient(score, (parameters, latents))

    with patch.object(Hierarchy, "_one_loop", one_loop):
        return [value.numpy() for value in tf.nest.flatten(run(*given))]


@pytest.mark.parametrize(
    ("flow", "batch"),
    [
        (real_nvp_flow(PHI4, 8, couplings=3, width=5), 6),
        (real_nvp_flow(PHI4, 4, couplings=2, width=4, ranges=RANGES), 700),
        (real_nvp_flow(IsingTheory(2.3), 4, couplings=4, width=3, depth=3), 5),
    ],
)
def test_it_is_one_level_after_the_other(flow: Hierarchy, batch: int) -> None:
    rng = np.random.default_rng(0)
    parameters = {
        name: tf.constant(value + 0.1 * rng.standard_normal(value.shape))
        for name, value in flow.initial_parameters(rng, 2).items()
    }
    shape = (2, batch, flow.side, flow.side, flow.chart.components)
    couplings = np.stack([rng.uniform(0.1, 0.5, (2, batch)), np.full((2, batch), -199.4)], axis=-1)
    given = (parameters, tf.constant(rng.standard_normal(shape)), tf.constant(couplings))
    assert flow._one_loop
    expected = results(flow, one_loop=False, given=given)
    for found, value in zip(results(flow, one_loop=True, given=given), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-9 * np.abs(value).max())
