"""A checkpoint is continued where it is whole, and otherwise not: whatever stands in its numbers."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import damage_bytes, damage_key, damage_value, fuzz

from emergence.checkpoints import Interim, Position, copy_of, resume
from emergence.weights import write_weights

ROWS = [
    {"stage": 0, "window": 3, "step": 60, "seed": seed, "loss": 0.5, "spread": 1} for seed in (0, 1)
]
STEPS = [40, 30]
"""Of each stage of its training."""
POSITION = Position(1, 20, 1, 0.5, [0.25, 1.0], ROWS, 1.5, 19)
NUMBERS = {"identity": "same", "settings": "s", "order": ["p/y", "p/x"]}
NUMBERS |= {"position": asdict(POSITION)}


def test_it_goes_on_from_where_it_stood(tmp_path):
    write_weights(tmp_path / "whole", {"p/x": np.zeros(2), "p/y": np.ones(3)}, NUMBERS)
    tensors, position = resume(tmp_path / "whole", "same", "Toy", STEPS)
    assert list(tensors) == ["p/y", "p/x"]
    assert position == POSITION


@given(
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    stage=st.integers(0, 6),
    step=st.integers(0, 80),
    told=st.integers(0, 300),
)
@settings(max_examples=200)
def test_it_stands_within_its_training_or_nowhere(steps, stage, step, told):
    history = [row | {"step": told} for row in ROWS] if told else []
    position = Position(stage, step, history=history)
    before = np.cumsum([0, *steps])
    stands = [(s, n) for s, most in enumerate(steps) for n in range(most + 1)] + [(len(steps), 0)]
    assert position.lies_within(steps) == ((stage, step) in stands and told == before[stage] + step)


def test_a_copy_stays_where_it_is():
    copy = copy_of(POSITION)
    copy.history.append({})
    copy.step += 1
    assert len(POSITION.history) == 2
    assert POSITION.step == 20


def test_damaged_numbers_are_not_continued_or_harmless(tmp_path, capsys):
    """Types at least are those of a position, so that no training fails of them later."""
    folder = tmp_path / "checkpoint"
    write_weights(folder, {"p/x": np.zeros(2), "p/y": np.ones(3)}, NUMBERS)
    whole, refused = (folder / "numbers.json").read_bytes(), set()

    @settings(fuzz, max_examples=150)
    @given(data=st.data(), damage=st.sampled_from([damage_bytes, damage_value, damage_key]))
    def one(data, damage):
        damaged = damage(data, whole)
        (folder / "numbers.json").write_bytes(damaged)
        capsys.readouterr()
        tensors, position = resume(folder, "same", "Toy", STEPS)
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        if tensors is None:
            assert position is None
            assert "is not continued" in told
            refused.add(damaged)
        else:
            assert sorted(tensors) == ["p/x", "p/y"]
            assert Position.told(asdict(position)) == position
            assert position.lies_within(STEPS)

    one()
    assert len(refused) >= 75


class TestInterim:
    """Arrays of a sampling that was killed."""

    def test_those_of_the_same_identity_are_read(self, tmp_path):
        file = tmp_path / "interim.npz"
        Interim(file, "of these", 0.0, "The walk's").write({"steps": np.array(7)})
        assert int(Interim(file, "of these", 0.0, "The walk's").read(["steps"])["steps"]) == 7

    @pytest.mark.parametrize(
        ("identity", "required", "told"),
        [
            ("of others", [], "The walk's checkpoint is of other settings or weights"),
            ("of these", ["places"], "The walk's checkpoint cannot be read"),
        ],
    )
    def test_others_are_told_and_not_continued(self, tmp_path, capsys, identity, required, told):
        file = tmp_path / "interim.npz"
        Interim(file, "of these", 0.0, "The walk's").write({"steps": np.array(7)})
        assert Interim(file, identity, 0.0, "The walk's").read(required) is None
        assert told in "".join(capsys.readouterr())

    def test_is_due_after_its_time_and_never_without_a_file(self, tmp_path, capsys):
        assert Interim(tmp_path / "a.npz", "i", 0.0, "Its").due
        assert not Interim(tmp_path / "a.npz", "i", 1e6, "Its").due
        assert not Interim(None, "i", 0.0, "Its").due
        assert Interim(None, "i", 0.0, "Its").read([]) is None
        assert "".join(capsys.readouterr()) == "", "There was nothing to tell."
