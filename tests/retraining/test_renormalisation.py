"""Energies by the density-matrix renormalisation group against exact ones, and the one on record."""

import sys

import numpy as np
import pytest
from spin_models import heisenberg_chain

from emergence.errors import HostError, SettingsError
from emergence.retraining import bethe, diagonalisation, published, renormalisation
from emergence.retraining.models import Heisenberg, Ising, Lattice


class TestTenpy:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("tenpy", reason="TeNPy is optional: `make peers` installs it")

    @pytest.mark.parametrize("j2", [0.0, 0.2, 0.5])
    def test_small_chains_have_the_energy_of_the_diagonalisation(self, j2):
        exact = diagonalisation.ground_state(heisenberg_chain(10, j2))
        found = renormalisation.ground_state(heisenberg_chain(10, j2), 64)
        assert found.energy == pytest.approx(exact.energy, abs=1e-10)
        assert found.truncation < 1e-12
        expected = [exact.entropy(range(length), 1) for length in range(1, 10)]
        np.testing.assert_allclose(found.entropies, expected, atol=1e-6)

    def test_few_states_lie_above_the_bethe_ansatz(self):
        exact = bethe.energy(heisenberg_chain(24))
        few, many = (renormalisation.ground_state(heisenberg_chain(24), n).energy for n in (8, 100))
        assert few > many + 1e-6
        assert many == pytest.approx(exact, abs=1e-8)

    @pytest.mark.slow
    def test_the_energy_on_record_is_found_again(self):
        energy, error, method = published.published_energy(heisenberg_chain(32, 0.2))
        assert "TeNPy" in method
        found = renormalisation.ground_state(heisenberg_chain(32, 0.2), 100)
        assert found.energy == pytest.approx(energy, abs=max(error, 1e-8))


def test_without_tenpy_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenpy", None)
    monkeypatch.setitem(sys.modules, "tenpy.algorithms", None)
    with pytest.raises(HostError, match=r"TeNPy cannot be imported.*make peers"):
        renormalisation.ground_state(heisenberg_chain(4), 4)


@pytest.mark.parametrize(
    "model",
    [
        Heisenberg(Lattice("square", 2)),
        Heisenberg(Lattice("chain", 4, "periodic")),
        Ising(Lattice("chain", 4), 1.0),
    ],
)
def test_other_models_are_refused(model):
    with pytest.raises(SettingsError, match="no open Heisenberg chain"):
        renormalisation.ground_state(model, 4)
