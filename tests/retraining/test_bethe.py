"""The Heisenberg chain by the Bethe ansatz: the table, exact diagonalisation, the bulk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spin_models import heisenberg_chain

from emergence.errors import EmergenceError, SettingsError
from emergence.retraining import bethe
from emergence.retraining.diagonalisation import ground_state
from emergence.retraining.models import build_model

TABLE = {
    # sites: (open energy, periodic energy)
    10: (-4.258035207283, -4.515446354492),
    20: (-8.682473334399, -8.904386529876),
    80: (-35.265237054661, -35.462076149721),
    100: (-44.127739893296, -44.322957075092),
    1000: (-442.958550691965, -443.148003503695),
}


@pytest.mark.parametrize("sites", TABLE)
def test_the_table(sites):
    open_energy, periodic_energy = TABLE[sites]
    assert bethe.energy(heisenberg_chain(sites)) == pytest.approx(open_energy, abs=3e-12)
    assert bethe.energy(heisenberg_chain(sites, boundary="periodic")) == pytest.approx(
        periodic_energy, abs=3e-12
    )


@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize("sites", [2, 4, 6, 8, 10, 14])
def test_agrees_with_exact_diagonalisation(sites, boundary):
    # Two sites on a ring are bound twice, in the formula as in the model.
    model = heisenberg_chain(sites, boundary=boundary)
    assert bethe.energy(model) == pytest.approx(ground_state(model).energy, abs=1e-11)


@settings(deadline=None, max_examples=20)
@given(half=st.integers(2, 100), boundary=st.sampled_from(["open", "periodic"]))
def test_the_rapidities_solve_the_equations_and_are_distinct(half, boundary):
    model = heisenberg_chain(2 * half, boundary=boundary)
    value = bethe.rapidities(model)
    assert len(value) == half
    assert np.all(np.diff(value) > 0.0)
    phase = np.zeros(half)
    for j in range(half):
        for k in range(half):
            if j != k:
                phase[j] += np.arctan(value[j] - value[k])
                if boundary == "open":
                    phase[j] += np.arctan(value[j] + value[k])
    if boundary == "open":
        assert value[0] > 0.0
        quantum = (4 * half * np.arctan(2 * value) - phase) / np.pi
        np.testing.assert_allclose(quantum, np.arange(1, half + 1), atol=1e-11)
    else:
        np.testing.assert_allclose(value, -value[::-1], atol=1e-11)
        quantum = (2 * half * np.arctan(2 * value) - phase) / np.pi
        np.testing.assert_allclose(quantum, np.arange(half) - (half - 1) / 2, atol=1e-11)


def test_long_chains_approach_the_bulk_with_the_known_end_energy():
    assert pytest.approx(-0.4431471805599453, abs=1e-15) == bethe.BULK_ENERGY
    sites = 1000
    surface = bethe.energy(heisenberg_chain(sites)) - sites * bethe.BULK_ENERGY
    # Two open ends cost this together; the correction is −πcv/24N with c = 1 and v = π/2, but for
    # logarithms.
    ends = (np.pi - 1.0 - 2.0 * np.log(2.0)) / 4.0
    expected = ends - np.pi**2 / 48 / sites
    assert surface == pytest.approx(expected, abs=1e-4)
    ring = bethe.energy(heisenberg_chain(sites, boundary="periodic")) / sites
    assert ring == pytest.approx(bethe.BULK_ENERGY - np.pi**2 / 12 / sites**2, abs=2e-8)


def test_other_models_are_refused():
    for model in (
        build_model("j1j2", "chain", 8, j2=0.2),
        build_model("heisenberg", "square", 4),
        build_model("ising", "chain", 8, field=1.0),
    ):
        with pytest.raises(SettingsError, match="is not solved by the Bethe ansatz"):
            bethe.energy(model)


def test_an_odd_chain_is_refused():
    with pytest.raises(SettingsError, match="cannot have zero magnetisation"):
        heisenberg_chain(11)


def test_no_convergence_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(bethe, "NEWTON_STEPS", 1)
    with pytest.raises(EmergenceError, match=r"did not converge in 1 steps\. Choose a shorter"):
        bethe.energy(heisenberg_chain(100))
