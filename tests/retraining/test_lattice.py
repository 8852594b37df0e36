"""Lattices: sites, bonds against a count by hand, symmetries, and what cannot be built."""

import itertools
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emergence.errors import SettingsError
from emergence.retraining.lattice import Lattice

STEPS = {
    "nearest": {"chain": [(1,)], "square": [(0, 1), (1, 0)]},
    "next_nearest": {"chain": [(2,)], "square": [(1, 1), (1, -1)]},
}

lattices = st.builds(
    Lattice,
    geometry=st.sampled_from(["chain", "square"]),
    size=st.integers(3, 9),
    boundary=st.sampled_from(["open", "periodic"]),
)


def counted_bonds(lattice, kind):
    """Pairs and how many of the displacements, both ways, lead from one to the other."""
    steps = [np.array(s) for s in STEPS[kind][lattice.geometry]]
    found = {}
    for (i, a), (j, b) in itertools.combinations(enumerate(lattice.coordinates), 2):
        gaps = [b - a - sign * step for step in steps for sign in (1, -1)]
        if lattice.periodic:
            gaps = [gap % lattice.size for gap in gaps]
        count = sum(not gap.any() for gap in gaps)
        if count:
            found[i, j] = count
    return found


@pytest.mark.parametrize("kind", ["nearest", "next_nearest"])
@given(lattice=lattices)
def test_bonds_are_those_counted_pair_by_pair(kind, lattice):
    pairs, couplings = getattr(lattice, kind)
    listed = {(int(i), int(j)): c for (i, j), c in zip(pairs, couplings, strict=True)}
    assert len(listed) == len(pairs)
    assert listed == counted_bonds(lattice, kind)


@given(size=st.integers(5, 40))
def test_bond_counts_are_those_of_the_formulas(size):
    def count(geometry, boundary, kind):
        return len(getattr(Lattice(geometry, size, boundary), kind).pairs)

    assert count("chain", "open", "nearest") == size - 1
    assert count("chain", "open", "next_nearest") == size - 2
    assert count("chain", "periodic", "nearest") == size
    assert count("chain", "periodic", "next_nearest") == size
    assert count("square", "open", "nearest") == 2 * size * (size - 1)
    assert count("square", "open", "next_nearest") == 2 * (size - 1) ** 2
    assert count("square", "periodic", "nearest") == 2 * size**2
    assert count("square", "periodic", "next_nearest") == 2 * size**2


@pytest.mark.parametrize(
    ("geometry", "size", "kind", "pairs", "coupling"),
    [
        ("chain", 2, "nearest", 1, 2.0),
        ("chain", 4, "next_nearest", 2, 2.0),
        ("square", 2, "nearest", 4, 2.0),
        ("square", 2, "next_nearest", 2, 4.0),
    ],
)
def test_a_narrow_ring_lists_a_pair_once_and_adds_its_couplings(
    geometry, size, kind, pairs, coupling
):
    bonds = getattr(Lattice(geometry, size, "periodic"), kind)
    assert len(bonds.pairs) == pairs
    assert np.all(bonds.couplings == coupling)


@given(lattice=lattices)
def test_the_point_group_is_a_group_that_maps_bonds_to_bonds(lattice):
    group = lattice.point_group
    elements = {tuple(g) for g in group}
    assert len(elements) == len(group) == (2 if lattice.geometry == "chain" else 8)
    assert np.array_equal(group[0], np.arange(lattice.sites))
    assert {tuple(a[b]) for a in group for b in group} == elements
    for pairs, _ in (lattice.nearest, lattice.next_nearest):
        listed = {frozenset(pair) for pair in pairs.tolist()}
        assert all({frozenset(pair) for pair in g[pairs].tolist()} == listed for g in group)


@given(lattice=lattices)
def test_sublattices_alternate_along_bonds_wherever_they_exist(lattice):
    first, second = lattice.sublattice[lattice.nearest.pairs].T
    assert np.all(first != second) == lattice.bipartite


def test_sites_are_in_raster_order():
    lattice = Lattice("square", 3)
    assert lattice.sites == 9
    assert np.array_equal(lattice.coordinates[5], [1, 2])
    assert str(lattice) == "open square of 3 × 3"
    assert str(Lattice("chain", 8, "periodic")) == "periodic chain of 8 sites"


def test_a_lattice_cannot_be_changed():
    lattice = Lattice("chain", 4)
    with pytest.raises(FrozenInstanceError):
        lattice.size = 5
    with pytest.raises(ValueError, match="read-only"):
        lattice.nearest.pairs[0, 0] = 3


def test_equal_lattices_are_the_same_key_even_after_use():
    used = Lattice("chain", 4)
    assert len(used.nearest.pairs) == 3
    assert {used: 1}[Lattice("chain", 4)] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ring", 4), "The lattice geometry 'ring' is unknown. Choose chain or square."),
        (("chain", 4, "twisted"), "The boundary 'twisted' is unknown. Choose open or periodic."),
        (("chain", 1), "A chain of size 1 has no bond. Choose a size of 2 or larger."),
        (("square", -3), "A square of size -3 has no bond. Choose a size of 2 or larger."),
        (
            ("chain", 4.0),
            "A lattice of size 4.0 cannot be built. Give the size as an integer.",
        ),
        (
            ("chain", True),
            "A lattice of size True cannot be built. Give the size as an integer.",
        ),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(arguments, sentence):
    with pytest.raises(SettingsError) as caught:
        Lattice(*arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_two_sites_have_no_next_nearest_neighbours(boundary):
    with pytest.raises(SettingsError, match="A chain of 2 sites has no next-nearest neighbours"):
        _ = Lattice("chain", 2, boundary).next_nearest
