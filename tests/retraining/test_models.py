"""Models: couplings and matrix elements in the conventions stated, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emergence.errors import SettingsError
from emergence.retraining.lattice import Lattice
from emergence.retraining.models import (
    Heisenberg,
    Ising,
    build_model,
    require_zero_magnetisation,
)


@given(
    size=st.integers(2, 20), field=st.floats(0, 10), boundary=st.sampled_from(["open", "periodic"])
)
def test_ising_has_minus_one_per_bond_and_minus_h_per_flip(size, field, boundary):
    lattice = Lattice("chain", size, boundary)
    model = build_model("ising", "chain", size, boundary, field=field)
    assert model == Ising(lattice, field)
    assert np.array_equal(model.diagonal, -lattice.nearest.couplings)
    assert not model.exchange.any()
    assert model.flip == -field
    assert model.up_spins is None


@given(half=st.integers(2, 10), j2=st.floats(-2, 2).filter(bool))
def test_j1j2_appends_the_second_neighbours_with_their_coupling(half, j2):
    size = 2 * half
    model = build_model("j1j2", "chain", size, j2=j2)
    pairs, couplings = model.bonds
    assert pairs.tolist() == [[i, i + 1] for i in range(size - 1)] + [
        [i, i + 2] for i in range(size - 2)
    ]
    np.testing.assert_array_equal(couplings, [1.0] * (size - 1) + [j2] * (size - 2))
    np.testing.assert_allclose(model.diagonal, couplings / 4, rtol=0)
    np.testing.assert_allclose(model.exchange, couplings / 2, rtol=0)
    assert model.flip == 0.0
    assert model.up_spins == half


def test_names_follow_the_couplings():
    chain = Lattice("chain", 8)
    assert Ising(chain, 1.0).name == "ising"
    assert Heisenberg(chain).name == "heisenberg"
    assert Heisenberg(chain, 0.5).name == "j1j2"
    assert str(Heisenberg(chain, 0.5)) == "J1–J2 model (j2 = 0.5) on the open chain of 8 sites"
    assert build_model("j1j2", "chain", 8, j2=0.0) == build_model("heisenberg", "chain", 8)


@pytest.mark.parametrize(
    ("model", "holds"),
    [
        (Heisenberg(Lattice("chain", 6)), True),
        (Heisenberg(Lattice("square", 4, "periodic")), True),
        (Heisenberg(Lattice("chain", 6), -0.3), True),
        (Heisenberg(Lattice("chain", 6), 0.2), False),
        (Heisenberg(Lattice("square", 4), 0.5), False),
        (Ising(Lattice("chain", 6), 1.0), False),
    ],
)
def test_the_marshall_sign_belongs_to_the_unfrustrated(model, holds):
    assert model.has_marshall_sign is holds


@given(half=st.integers(1, 1000))
def test_zero_magnetisation_needs_an_even_number_of_spins(half):
    assert require_zero_magnetisation(2 * half) == half
    with pytest.raises(SettingsError):
        require_zero_magnetisation(2 * half + 1)


@pytest.mark.parametrize(
    ("arguments", "couplings", "sentence"),
    [
        (
            ("xy", "chain", 4),
            {},
            "The model 'xy' is unknown. Choose ising or heisenberg or j1j2.",
        ),
        (
            ("heisenberg", "chain", 7),
            {},
            "A lattice of 7 spins cannot have zero magnetisation, as 7 is odd. "
            "Choose an even number of sites.",
        ),
        (
            ("heisenberg", "square", 5),
            {},
            "A lattice of 25 spins cannot have zero magnetisation, as 25 is odd. "
            "Choose an even number of sites.",
        ),
        (("ising", "chain", 4), {}, "The model 'ising' needs field. Set field to a number."),
        (("j1j2", "chain", 4), {}, "The model 'j1j2' needs j2. Set j2 to a number."),
        (
            ("heisenberg", "chain", 4),
            {"j2": 0.2},
            "The model 'heisenberg' does not take j2. Remove j2.",
        ),
        (
            ("ising", "chain", 4),
            {"field": -1.0},
            "A transverse field of -1.0 is not allowed. "
            "Choose 0 or more: a negative field is a positive one turned by π about z.",
        ),
        (
            ("ising", "chain", 4),
            {"field": float("nan")},
            "A transverse field of nan is not allowed. "
            "Choose 0 or more: a negative field is a positive one turned by π about z.",
        ),
        (
            ("j1j2", "chain", 4),
            {"j2": float("inf")},
            "A j2 of inf is not allowed. Choose a finite number.",
        ),
        (
            ("j1j2", "chain", 2),
            {"j2": 0.5},
            "A chain of 2 sites has no next-nearest neighbours. "
            "Choose 4 sites or more, or set j2 to 0.",
        ),
        (
            ("ising", "ladder", 4),
            {"field": 1.0},
            "The lattice geometry 'ladder' is unknown. Choose chain or square.",
        ),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(arguments, couplings, sentence):
    with pytest.raises(SettingsError) as caught:
        build_model(*arguments, **couplings)
    assert str(caught.value) == sentence
