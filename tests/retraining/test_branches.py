"""Branches: equal, to rounding, to evaluating every moved configuration from the start."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from emergence.retraining import branches as blocks
from emergence.retraining.branches import branches
from emergence.retraining.cells import GatedUnit, TensorUnit
from emergence.retraining.lattice import Lattice
from emergence.retraining.models import Heisenberg, Ising
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.recurrent import Recurrent

SEEDS, BATCH = 2, 3

MODELS = {
    "Ising chain": Ising(Lattice("chain", 10), 1.0),
    "Ising ring, odd": Ising(Lattice("chain", 7, "periodic"), 1.0),
    "Heisenberg chain": Heisenberg(Lattice("chain", 10)),
    "Heisenberg ring": Heisenberg(Lattice("chain", 8, "periodic")),
    "J1–J2 chain": Heisenberg(Lattice("chain", 10), 0.5),
    "Ising square, odd": Ising(Lattice("square", 3), 3.0),
    "Heisenberg square": Heisenberg(Lattice("square", 4)),
    "periodic Heisenberg square": Heisenberg(Lattice("square", 4, "periodic")),
    "J1–J2 square": Heisenberg(Lattice("square", 4), 0.5),
    "smallest chain": Heisenberg(Lattice("chain", 2)),
    "smallest square": Heisenberg(Lattice("square", 2), 0.5),
}


def network(model, cell=None, masked=False):
    chain = model.lattice.geometry == "chain"
    return Recurrent(cell or (GatedUnit(5) if chain else TensorUnit(4)), Moves(model), masked)


def weights(net, dtype="float64", scale=0.4):
    rng = np.random.default_rng(5)
    start = net.cell.initial_parameters(rng, SEEDS)
    drawn = {n: v + scale * rng.standard_normal(v.shape) for n, v in start.items()}
    return {name: tf.constant(value, dtype) for name, value in drawn.items()}


def configurations(net, dtype="float64"):
    """``[SEEDS, BATCH, sites]`` of zero magnetisation where the number of sites is even."""
    rng = np.random.default_rng(6)
    spins = np.where(np.arange(net.sites) % 2, 1.0, -1.0)
    drawn = [[rng.permutation(spins) for _ in range(BATCH)] for _ in range(SEEDS)]
    return tf.constant(np.array(drawn), dtype)


def found(net, parameters, spins, window=None, compiled=False):
    function = tf.function(
        lambda parameters, spins: branches(net, parameters, spins, window),
        autograph=False,
        jit_compile=compiled,
    )
    return function(parameters, spins)


def explicit(net, parameters, spins):
    """Differences of log p and phase, every moved configuration evaluated from the first site."""
    signs = np.ones((len(net.moves.pairs), net.sites))
    for move, pair in enumerate(net.moves.pairs):
        signs[move, pair[pair >= 0]] = -1.0
    moved = spins.numpy()[:, None] * signs[:, None]
    moved = tf.constant(moved.reshape(SEEDS, -1, net.sites), spins.dtype)
    function = tf.function(net.log_probability, autograph=False)
    before, after = function(parameters, spins), function(parameters, moved)
    shape = [SEEDS, len(signs), BATCH]
    return [
        None if new is None else tf.reshape(new, shape).numpy() - old.numpy()[:, None]
        for old, new in zip(before, after, strict=True)
    ]


def swappable(net, spins):
    """Where a move leads to a configuration of the same magnetisation, ``[SEEDS, moves, BATCH]``."""
    first, second = (spins.numpy()[..., net.moves.pairs[:, k]] for k in (0, 1))
    return np.moveaxis(first * second < 0, 2, 1)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_equal_the_naive_differences_to_rounding(model):
    net = network(model)
    parameters, spins = weights(net), configurations(net)
    ours = found(net, parameters, spins)
    expected, _ = explicit(net, parameters, spins)
    assert ours.phase is None
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(ours.log_probability, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["Ising chain", "J1–J2 chain", "Heisenberg ring"])
def test_follow_the_phase_of_the_original_network(name):
    net = network(MODELS[name], PaperCell(6))
    parameters, spins = weights(net), configurations(net)
    ours = found(net, parameters, spins)
    log_p, phase = explicit(net, parameters, spins)
    np.testing.assert_allclose(ours.log_probability, log_p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.phase, phase, rtol=0, atol=1e-12)
    assert np.std(phase) > 0.1


@pytest.mark.parametrize("name", ["Heisenberg chain", "J1–J2 chain", "J1–J2 square"])
def test_of_masked_networks_equal_the_naive_differences(name):
    net = network(MODELS[name], masked=True)
    parameters, spins = weights(net), configurations(net)
    ours = found(net, parameters, spins).log_probability.numpy()
    expected = explicit(net, parameters, spins)[0]
    kept = swappable(net, spins)
    np.testing.assert_allclose(ours[kept], expected[kept], rtol=0, atol=1e-12)
    assert np.all(np.isfinite(ours))
    assert np.all(np.exp(ours[~kept]) == 0.0)


@pytest.mark.parametrize("name", ["Ising chain", "J1–J2 square"])
def test_compiled_in_single_precision_they_agree_to_its_rounding(name):
    net = network(MODELS[name])
    exact = explicit(net, weights(net), configurations(net))[0]
    ours = found(net, weights(net, "float32"), configurations(net, "float32"), compiled=True)
    assert ours.log_probability.dtype == tf.float32
    np.testing.assert_allclose(ours.log_probability, exact, rtol=0, atol=1e-5)


def test_a_window_of_all_sites_or_more_is_exact():
    net = network(MODELS["Heisenberg ring"])
    parameters, spins = weights(net), configurations(net)
    exact = found(net, parameters, spins)
    for window in (net.sites, 5 * net.sites):
        ours = found(net, parameters, spins, window)
        np.testing.assert_array_equal(ours.log_probability, exact.log_probability)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("Ising chain", 1),
        ("Ising chain", 4),
        ("J1–J2 chain", 4),
        ("Heisenberg ring", 1),
        ("Heisenberg square", 9),
        ("Ising square, odd", 5),
    ],
)
def test_a_window_keeps_exactly_the_conditionals_within_it(name, window, monkeypatch):
    """Each branch's sum over positions, cut where its window ends, one call at a time."""
    net = network(MODELS[name])
    moves, parameters, spins = net.moves, weights(net), configurations(net)
    # Blocks of one position: the branches of a longer one are followed further than asked.
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 1)
    ours = found(net, parameters, spins, window).log_probability.numpy()
    reached = max(window, moves.reach + 1)
    terms = conditionals(net, parameters, spins.numpy())
    for move, pair in enumerate(moves.pairs):
        sites = pair[pair >= 0]
        moved = spins.numpy().copy()
        moved[:, :, sites] *= -1.0
        first = moves.path.positions[sites].min()
        change = conditionals(net, parameters, moved) - terms
        expected = change[first : first + reached].sum(axis=0)
        np.testing.assert_allclose(ours[:, move], expected, rtol=0, atol=1e-12)


def conditionals(net, parameters, spins):
    """Log of each conditional along the path, ``[positions, SEEDS, BATCH]``."""
    path = tf.constant(np.moveaxis(spins, 2, 0)[net.moves.path.sites])
    memory, ups, terms = net.empty_memory(parameters, BATCH), tf.zeros_like(path[0]), []
    for position in range(net.sites):
        left, above = net.neighbour_spins(path, tf.constant(position))
        memory, odds, _ = net.advance(parameters, memory, tf.constant(position), left, above, ups)
        ups += tf.nn.relu(path[position])
        terms.append(-tf.nn.softplus(-path[position] * odds))
    return np.array(terms)


def test_the_truncated_sum_of_phases_is_compiled_too():
    net = network(MODELS["J1–J2 chain"], PaperCell(4))
    parameters, spins = weights(net), configurations(net)
    eager = found(net, parameters, spins, 5)
    ours = found(net, parameters, spins, 5, compiled=True)
    np.testing.assert_allclose(ours.log_probability, eager.log_probability, atol=1e-12)
    np.testing.assert_allclose(ours.phase, eager.phase, atol=1e-12)


def test_the_truncated_sum_converges_to_the_exact_one(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 1)
    net = network(Ising(Lattice("chain", 20), 1.0))
    parameters, spins = weights(net, scale=0.2), configurations(net)
    exact = found(net, parameters, spins).log_probability.numpy()
    errors = []
    for window in (2, 6, 10, 14):
        ours = found(net, parameters, spins, window).log_probability.numpy()
        errors.append(np.abs(ours - exact).max())
        # The last moves are not cut: their windows reach the end.
        np.testing.assert_allclose(ours[:, -window:], exact[:, -window:], rtol=0, atol=1e-13)
    assert errors[0] > 1e-3
    assert all(later < 0.5 * earlier for earlier, later in pairwise(errors))
