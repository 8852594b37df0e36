"""The naive way gives the same energies as the shared prefixes: it is the same network."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.retraining.cells import GatedUnit
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.models import build_model
from emergence.retraining.naive import NaiveState
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.wavefunction import RecurrentState

UNITS = 5


def both_energies(model, cell, batch, symmetric=False):
    """Local energies of the same samples, shared prefixes and naive, ``[parts, batch]``."""
    network = Recurrent(cell, Moves(model), model.conserves_magnetisation)
    hamiltonian, energies = Hamiltonian(model), []
    for kind in (RecurrentState, NaiveState):
        state = kind(network, symmetric=symmetric)
        parameters = {k: tf.constant(v) for k, v in state.initial_parameters(1, 3).items()}
        spins = state.sample(parameters, tf.constant([1, 2]), batch)
        real, imaginary = hamiltonian.local_energy(spins, state.ratios(parameters, spins))
        energies.append(np.stack([part[0] for part in (real, imaginary) if part is not None]))
    return energies


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("name", "couplings"), [("ising", {"field": 1.0}), ("heisenberg", {})])
def test_it_equals_the_shared_prefixes(name, couplings, symmetric):
    model = build_model(name, "chain", 6, **couplings)
    shared, naive = both_energies(model, GatedUnit(UNITS), 7, symmetric)
    assert np.ptp(shared) > 1e-3
    np.testing.assert_allclose(naive, shared, rtol=1e-10)


def test_it_follows_phases_too():
    model = build_model("heisenberg", "chain", 4)
    shared, naive = both_energies(model, PaperCell(UNITS), 5)
    assert shared.shape == (2, 5)
    np.testing.assert_allclose(naive, shared, rtol=1e-9, atol=1e-12)


def test_a_last_group_that_is_not_full_adds_nothing(monkeypatch):
    # Seven moves in groups of two.
    monkeypatch.setattr("emergence.retraining.naive.GROUP_ROWS", 8)
    model = build_model("ising", "chain", 7, field=0.7)
    shared, naive = both_energies(model, GatedUnit(UNITS), 4)
    np.testing.assert_allclose(naive, shared, rtol=1e-10)
