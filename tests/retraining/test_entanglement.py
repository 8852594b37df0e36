"""Rényi's second entropy by swapping, against enumeration and free fermions."""

import numpy as np
import pytest
import tensorflow as tf
from spin_models import ising_chain

from emergence.errors import SettingsError
from emergence.retraining import entanglement
from emergence.retraining.cells import GatedUnit
from emergence.retraining.diagonalisation import bits_of, ground_state, patterns, spins_of
from emergence.retraining.models import build_model
from emergence.retraining.ordering import Moves
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.wavefunction import RecurrentState

SITES = 8
LENGTHS = np.array([1, 2, 4])


def independent_spins(samples):
    """The product state with each spin's own mean, which has no entanglement at all.

    Args:
        samples: ±1, ``[seeds, batch, sites]``.
    """
    up = np.clip((1.0 + samples.astype(np.float64).mean(axis=1)) / 2.0, 1e-12, 1.0 - 1e-12)

    def log_amplitude(spins):
        chosen = np.where(spins > 0, np.log(up)[:, None], np.log1p(-up)[:, None])
        return 0.5 * chosen.sum(axis=2), None

    return log_amplitude


def table(model):
    """A ground state as a wave function: a look-up of every amplitude, ready to be sampled."""
    state = ground_state(model)
    logs = np.full(2**model.sites, -np.inf)
    with np.errstate(divide="ignore"):
        logs[state.states] = np.log(np.abs(state.amplitudes))
    turns = np.zeros(2**model.sites)
    turns[state.states] = np.pi * (state.amplitudes < 0.0)

    def log_amplitude(spins):
        where = bits_of(spins.reshape(-1, model.sites)).reshape(spins.shape[:2])
        return tf.constant(logs[where]), tf.constant(turns[where])

    def sample(pairs, seed):
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(state.states), (2, pairs), p=state.probabilities)
        return state.spins[drawn].astype(np.float64)

    return log_amplitude, sample


@pytest.mark.parametrize("name", ["ising", "heisenberg", "j1j2"])
def test_a_known_ground_state_has_the_exact_entropy_within_its_errors(name):
    options = {"ising": {"field": 1.0}, "heisenberg": {}, "j1j2": {"j2": 0.8}}[name]
    model = build_model(name, "chain", SITES, **options)
    log_amplitude, sample = table(model)
    found, error = entanglement.renyi_entropy(
        log_amplitude, sample(20_000, 1), sample(20_000, 2), LENGTHS, 5_000
    )
    exact = entanglement.exact_entropy(model, LENGTHS)
    assert found.shape == error.shape == (2, 3)
    assert np.all(error < 0.05)
    assert np.all(np.abs(found - exact) < 4.0 * error)
    # The two sets are independent, and their scatter is what the errors say.
    assert np.all(np.abs(found[0] - found[1]) < 5.0 * np.hypot(*error))


def test_exact_entropies_of_both_methods_agree_and_the_table_is_met():
    model = ising_chain(SITES, 1.0)
    state = ground_state(model)
    by_schmidt = [state.entropy(range(int(length)), 2) for length in LENGTHS]
    np.testing.assert_allclose(entanglement.exact_entropy(model, LENGTHS), by_schmidt, atol=1e-10)
    half = entanglement.exact_entropy(ising_chain(80, 1.0), np.array([40]))
    assert half[0] == pytest.approx(0.410430, abs=1e-6)
    assert entanglement.exact_entropy(build_model("heisenberg", "chain", 40), LENGTHS) is None


@pytest.mark.parametrize("masked", [False, True])
def test_a_network_has_the_entropy_of_its_own_enumerated_amplitudes(masked):
    name, field = ("heisenberg", None) if masked else ("ising", 1.0)
    model = build_model(name, "chain", 6, field=field)
    state = RecurrentState(Recurrent(GatedUnit(4), Moves(model), masked))
    start = state.initial_parameters(1, seed=3)
    scale = {"odds/weight": 100.0}  # the conditionals start close to one half
    parameters = {name: tf.constant(scale.get(name, 4.0) * value) for name, value in start.items()}
    every = spins_of(patterns(6), 6).astype(np.float64)
    modulus = state.log_amplitude(parameters, tf.constant(every)[None])[0].numpy()[0]
    amplitudes = np.exp(modulus)
    assert np.sum(amplitudes**2) == pytest.approx(1.0)
    cut = amplitudes.reshape(8, 8)  # the first three sites are the lower bits
    exact = -np.log(np.sum(np.linalg.svd(cut, compute_uv=False) ** 4))
    rng = np.random.default_rng(0)
    drawn = rng.choice(64, (2, 1, 6_000), p=amplitudes**2 / np.sum(amplitudes**2))
    found, error = entanglement.renyi_entropy(
        lambda spins: state.log_amplitude(parameters, spins),
        every[drawn[0]], every[drawn[1]], np.array([3]), 6_000,
    )  # fmt: skip
    assert exact > 0.03
    assert abs(found[0, 0] - exact) < 4.0 * error[0, 0]


def test_independent_spins_have_no_entropy_whatever_their_means():
    rng = np.random.default_rng(0)
    samples = np.where(rng.random((2, 200, 5)) < 0.3, 1, -1)
    state = independent_spins(samples)
    pairs = samples.astype(np.float64)
    found, error = entanglement.renyi_entropy(
        state, pairs[:, :100], pairs[:, 100:], np.array([1, 2, 3]), 50
    )
    np.testing.assert_allclose(found, 0.0, atol=1e-10)
    np.testing.assert_allclose(error, 0.0, atol=1e-10)


def test_the_jackknife_is_the_error_of_a_logarithm():
    rng = np.random.default_rng(1)
    values = rng.uniform(0.5, 1.5, 4_000)
    entropy, error = entanglement.jackknife(np.log(values)[None] - 3_000.0, np.zeros((1, 4_000)))
    # Amplitudes that underflow: only their logarithms are ever used.
    assert entropy[0] == pytest.approx(3_000.0 - np.log(values.mean()), abs=1e-4)
    assert error[0] == pytest.approx(values.std() / values.mean() / np.sqrt(4_000), rel=0.01)


def test_too_few_pairs_give_an_infinite_entropy_and_not_a_number():
    phase = np.array([[0.0, np.pi, np.pi]])
    entropy, error = entanglement.jackknife(np.zeros((1, 3)), phase)
    assert np.isinf(entropy[0])
    assert np.isinf(error[0])


def test_cuts_reach_from_one_site_to_the_middle():
    for sites in (2, 3, 10, 80, 1000):
        lengths = entanglement.cut_lengths(sites)
        assert lengths[0] == 1
        assert lengths[-1] == sites // 2
        assert len(lengths) <= 12
        assert np.all(np.diff(lengths) > 0)


def test_samples_that_do_not_pair_are_refused():
    spins = np.ones((1, 6, 4))
    state = independent_spins(spins)
    for second, batch in ((spins[:, :4], 2), (spins, 4)):
        with pytest.raises(SettingsError, match="cannot be swapped in batches"):
            entanglement.renyi_entropy(state, spins, second, LENGTHS, batch)
