"""Memory of recurrent networks, against brute force."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.retraining import exact_memory, probes
from emergence.retraining.cells import GatedUnit
from emergence.retraining.diagonalisation import patterns, spins_of
from emergence.retraining.models import build_model
from emergence.retraining.ordering import Moves
from emergence.retraining.recurrent import Recurrent

SEEDS, SITES, UNITS = 2, 8, 3


def build(sites=SITES, name="ising", masked=False, geometry="chain"):
    field = 1.0 if name == "ising" else None
    return Recurrent(
        GatedUnit(UNITS), Moves(build_model(name, geometry, sites, field=field)), masked
    )


def strong(network, seed=1):
    """Weights large enough that everything responds."""
    rng = np.random.default_rng(seed)
    start = network.cell.initial_parameters(rng, SEEDS)
    return {name: tf.constant(3.0 * value + 0.1) for name, value in start.items()}


@pytest.fixture(scope="module")
def spins():
    draw = np.random.default_rng(0).choice([-1.0, 1.0], (SEEDS, 2, SITES))
    return tf.constant(draw)


@pytest.fixture(scope="module")
def measured(spins):
    network = build()
    zero = {name: 0.0 * value for name, value in strong(network).items()}
    return network, probes.memory(network, strong(network), zero, spins)


def step(network, parameters, hidden, spin):
    """One cell for one seed and sample, in NumPy's hands."""
    hidden, odds, _ = network.cell.step(
        parameters, (tf.constant(hidden)[None, None], tf.constant([[spin]], tf.float64)), None
    )
    return hidden.numpy()[0, 0], float(odds.numpy()[0, 0])


def odds_from(network, parameters, hidden, sample, start, site):
    """Log-odds at ``site``, from the hidden state after ``start``."""
    odds = None
    for position in range(start + 1, site + 1):
        spin = float(sample[position - 1]) if position else 0.0
        hidden, odds = step(network, parameters, hidden, spin)
    return odds


def one_seed(parameters, seed):
    return {name: value[seed : seed + 1] for name, value in parameters.items()}


def test_response_is_the_change_of_conditionals_recomputed_from_the_first_site(measured, spins):
    network, arrays = measured
    flips = exact_memory.flipped_sites(SITES)
    seed = 1
    parameters = one_seed(strong(network), seed)
    for column, distance in enumerate(arrays["distances"]):
        changes = []
        for sample, flip in itertools.product(spins.numpy()[seed], flips):
            other = sample.copy()
            other[flip] *= -1.0
            up = [
                1.0 / (1.0 + np.exp(-odds_from(
                    network, parameters, np.zeros(UNITS), s, -1, flip + distance)))
                for s in (sample, other)
            ]  # fmt: skip
            changes.append(abs(up[0] - up[1]))
        assert arrays["response"][seed, column] == pytest.approx(np.mean(changes), rel=1e-10)


def test_gradient_is_that_of_finite_differences_of_the_hidden_state(measured, spins):
    network, arrays = measured
    site = int(exact_memory.flipped_sites(SITES)[0]) + exact_memory.longest_distance(SITES)
    parameters, step_size = one_seed(strong(network), 0), 1e-6
    for column, distance in enumerate(arrays["distances"]):
        norms = []
        for sample in spins.numpy()[0]:
            hidden = np.zeros(UNITS)
            for position in range(site - distance + 1):
                spin = float(sample[position - 1]) if position else 0.0
                hidden, _ = step(network, parameters, hidden, spin)
            slopes = [
                odds_from(
                    network, parameters, hidden + step_size * e, sample, site - distance, site
                )
                - odds_from(
                    network, parameters, hidden - step_size * e, sample, site - distance, site
                )
                for e in np.eye(UNITS)
            ]
            norms.append(np.linalg.norm(slopes) / (2.0 * step_size))
        assert arrays["gradient"][0, column] == pytest.approx(np.mean(norms), rel=1e-5)


def test_a_network_without_weights_remembers_nothing(measured):
    _, arrays = measured
    assert np.all(arrays["response_untrained"] == 0.0)
    assert np.all(arrays["gradient_untrained"] == 0.0)
    assert np.all(arrays["response"] > 1e-4)
    assert np.all(arrays["response_error"] > 0.0)


def test_a_masked_network_answers_with_the_conditionals_that_its_magnetisation_leaves():
    network = build(4, "heisenberg", masked=True)
    zero = {name: 0.0 * value for name, value in strong(network).items()}
    spins = tf.constant([[[1.0, -1.0, -1.0, 1.0]]] * SEEDS, tf.float64)
    # Site 0 is flipped; uniform conditionals until two spins of a kind stand.
    assert exact_memory.flipped_sites(4).tolist() == [0]
    change = probes.response(network, zero, spins).numpy()[0, 0]
    # ↓: one half. ↑↓ and ↓↓ before site 2: one half against certainly up.
    np.testing.assert_allclose(change, [0.0, 0.5], atol=1e-12)


@pytest.mark.parametrize("sites", [2, 3, 8, 20, 33, 80, 160])
def test_flipped_sites_and_their_distances_lie_inside_and_centred(sites):
    flips, longest = exact_memory.flipped_sites(sites), exact_memory.longest_distance(sites)
    before, after = flips[0], sites - 1 - flips[-1] - longest
    assert 0 <= before <= after <= before + 1
    assert 1 <= len(flips) <= exact_memory.MOST_FLIPS


def test_the_exact_response_is_that_of_a_network_whose_distribution_is_enumerated():
    """A network's own distribution, summed over prefixes, against its response on every sample."""
    network = build(6)
    parameters = one_seed(strong(network), 0)
    states = spins_of(patterns(6), 6).astype(np.float64)
    log_p, _ = network.log_probability(parameters, tf.constant(states)[None])
    weights = np.exp(log_p.numpy()[0])
    assert weights.sum() == pytest.approx(1.0)
    each = probes.response(network, parameters, tf.constant(states)[None]).numpy()[0]
    exact = exact_memory.exact_response(network.moves.model, weights)
    np.testing.assert_allclose(exact, weights @ each, rtol=1e-10)


def test_the_ground_state_of_independent_spins_has_no_memory():
    model = build_model("ising", "chain", 6, field=1e6)
    np.testing.assert_allclose(exact_memory.exact_response(model), 0.0, atol=1e-5)
    critical = exact_memory.exact_response(build_model("ising", "chain", 6, field=1.0))
    assert np.all(np.diff(critical) < 0.0)
    assert critical[0] > 0.3


def test_squares_and_long_chains_are_refused(spins):
    square = build(2, geometry="square")
    with pytest.raises(SettingsError, match="memory of a network on the open square"):
        probes.memory(square, {}, {}, spins)
    with pytest.raises(SettingsError, match="cannot be summed exactly"):
        exact_memory.exact_response(build_model("ising", "chain", 21, field=1.0))
