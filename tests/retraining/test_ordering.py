"""Paths and moves: everything visited once, and slots and symmetries consistent with the bonds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spin_models import marshall_sign

from emergence.retraining.lattice import Lattice
from emergence.retraining.models import Heisenberg, Ising
from emergence.retraining.ordering import Moves, Path

lattices = st.builds(
    Lattice,
    geometry=st.sampled_from(["chain", "square"]),
    size=st.integers(2, 7),
    boundary=st.sampled_from(["open", "periodic"]),
)


@st.composite
def models(draw):
    lattice = draw(lattices)
    if lattice.sites % 2 or draw(st.booleans()):
        return Ising(lattice, 1.5)
    return Heisenberg(lattice, draw(st.sampled_from([0.0, 0.5])) if lattice.sites > 2 else 0.0)


def moved(spins, pair):
    """A copy with the spins of a move flipped; −1 stands for no second site."""
    spins = spins.copy()
    for site in pair:
        if site >= 0:
            spins[site] *= -1
    return spins


class TestPath:
    @given(lattice=lattices)
    def test_visits_every_site_once_and_steps_to_neighbours(self, lattice):
        path = Path(lattice)
        assert sorted(path.sites) == list(range(lattice.sites))
        steps = np.abs(np.diff(lattice.coordinates[path.sites], axis=0)).sum(axis=1)
        assert np.all(steps == 1)
        assert np.array_equal(path.sites[path.positions], np.arange(lattice.sites))

    @given(lattice=lattices)
    def test_finds_the_neighbour_before_in_the_row_and_the_one_above(self, lattice):
        path = Path(lattice)
        for position, site in enumerate(path.sites):
            if lattice.geometry == "chain":
                assert path.above[position] == -1
                assert path.columns[position] == 0
                assert path.left[position] == (-1 if position == 0 else 0)
                continue
            row, column = lattice.coordinates[site]
            assert path.columns[position] == column
            if row == 0:
                assert path.above[position] == -1
            else:
                above = lattice.coordinates[path.sites[path.above[position]]]
                assert above.tolist() == [row - 1, column]
            before = lattice.coordinates[path.sites[position - 1]] if position else (-1, -1)
            assert path.left[position] == (before[1] if before[0] == row else -1)

    def test_remembers_one_state_on_a_chain_and_a_row_on_a_square(self):
        assert Path(Lattice("chain", 9)).width == 1
        assert Path(Lattice("square", 5)).width == 5

    def test_of_a_small_square_is_the_snake_drawn_by_hand(self):
        path = Path(Lattice("square", 3))
        assert path.sites.tolist() == [0, 1, 2, 5, 4, 3, 6, 7, 8]
        assert path.left.tolist() == [-1, 0, 1, -1, 2, 1, -1, 0, 1]
        assert path.above.tolist() == [-1, -1, -1, 2, 1, 0, 5, 4, 3]


class TestMoves:
    @given(model=models())
    def test_lie_in_slots_of_their_own_at_their_first_position(self, model):
        moves = Moves(model)
        positions = np.where(moves.pairs >= 0, moves.path.positions[moves.pairs], -1)
        assert len(set(moves.slot.tolist())) == len(moves.pairs)
        assert moves.partner.shape == (model.sites, moves.per_position)
        for pair, slot in zip(positions, moves.slot, strict=True):
            first, rank = divmod(slot, moves.per_position)
            second = moves.partner[first, rank]
            assert {first, second} == set(pair.tolist())
            assert second == -1 or second > first
        unused = np.setdiff1d(np.arange(moves.partner.size), moves.slot)
        assert np.all(moves.partner.ravel()[unused] == -1)

    @given(model=models())
    def test_reach_as_far_as_the_longest_of_them(self, model):
        moves = Moves(model)
        both = moves.pairs[moves.pairs[:, 1] >= 0]
        gaps = np.abs(np.diff(moves.path.positions[both], axis=1)).ravel()
        assert moves.reach == (gaps.max() if len(gaps) else 0)

    def test_reach_two_rows_at_most_on_an_open_square(self):
        assert Moves(Heisenberg(Lattice("chain", 8))).reach == 1
        assert Moves(Heisenberg(Lattice("chain", 8), 0.5)).reach == 2
        assert Moves(Heisenberg(Lattice("square", 4))).reach == 7
        assert Moves(Ising(Lattice("square", 4), 1.0)).reach == 0

    @given(model=models(), data=st.data())
    def test_of_an_image_are_the_images_of_the_moves(self, model, data):
        moves = Moves(model)
        group, signs, moved_moves = moves.images(symmetric=True)
        flips = 2 if isinstance(model, Ising) else 1
        assert len(group) == flips * (2 if model.lattice.geometry == "chain" else 8)
        assert sorted(set(signs)) == ([-1.0, 1.0] if flips == 2 else [1.0])
        spins = np.random.default_rng(0).choice([-1, 1], model.sites)
        element = data.draw(st.integers(0, len(group) - 1))
        image, sign, order = group[element], signs[element], moved_moves[element]
        assert sorted(order) == list(range(len(moves.pairs)))
        for move, pair in enumerate(moves.pairs):
            expected = sign * moved(spins, pair)[image]
            assert np.array_equal(moved(sign * spins[image], moves.pairs[order[move]]), expected)
            assert moves.elements[move] == moves.elements[order[move]]

    @given(model=models())
    def test_without_symmetry_have_one_image(self, model):
        group, signs, order = Moves(model).images(symmetric=False)
        assert signs.tolist() == [1.0]
        assert group.tolist() == [list(range(model.sites))]
        assert order.tolist() == [list(range(len(Moves(model).pairs)))]

    @pytest.mark.parametrize(
        "model",
        [
            Heisenberg(Lattice("chain", 6), 0.5),
            Heisenberg(Lattice("square", 4, "periodic"), 0.5),
            Heisenberg(Lattice("square", 4)),
        ],
    )
    def test_that_cross_sublattices_change_the_marshall_sign(self, model):
        moves = Moves(model)
        rng = np.random.default_rng(1)
        for pair, crossing in zip(moves.pairs, moves.crossing, strict=True):
            spins = rng.choice([-1, 1], model.sites)
            spins[pair] = [1, -1]
            both = np.stack([spins, moved(spins, pair)])
            assert np.prod(marshall_sign(model.lattice, both)) == (-1.0 if crossing else 1.0)

    def test_have_the_elements_of_their_model(self):
        ising = Moves(Ising(Lattice("chain", 4), 0.7))
        assert ising.elements.tolist() == [-0.7] * 4
        assert ising.pairs.tolist() == [[0, -1], [1, -1], [2, -1], [3, -1]]
        ring = Moves(Heisenberg(Lattice("chain", 4, "periodic"), 0.5))
        assert dict(zip(map(tuple, ring.pairs.tolist()), ring.elements, strict=False))[0, 2] == 0.5
