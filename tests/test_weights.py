"""Weights and the record of what they are."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence import artifacts
from emergence.errors import ArtifactError
from emergence.weights import check_weights, read_weights, tell_other_physics, write_weights


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "weights"
    write_weights(path, {"p/a/b": np.arange(3.0), "p/c": np.ones((2, 2), np.float32)}, {"step": 4})
    artifacts.record_provenance(
        [path], stage="test", settings={}, seed=1, started=time.time(), device="CPU"
    )
    return path


def test_what_was_recorded_passes(folder):
    check_weights(folder)


def test_another_content_under_the_same_name_is_refused(folder):
    write_weights(folder, {"p/a/b": np.zeros(3)}, {})
    with pytest.raises(ArtifactError, match="not those that"):
        check_weights(folder)


def test_weights_without_a_record_are_refused(folder):
    artifacts.provenance_path(folder).unlink()
    with pytest.raises(ArtifactError, match="missing"):
        check_weights(folder)


class TestWeights:
    weights = {  # noqa: RUF012
        "p/update": np.arange(6.0).reshape(1, 2, 3),
        "p/readout_bias_1": np.float32([1.5, -0.0]),
        "c/m/update": np.array(3, dtype=np.int64),
    }

    def test_come_back_bit_for_bit(self, tmp_path):
        numbers = {"loss": [0.1, 1e-300], "note": "é"}
        write_weights(tmp_path / "weights", self.weights, numbers)
        weights, read = read_weights(tmp_path / "weights")
        assert read == numbers
        assert weights.keys() == self.weights.keys()
        for name, value in self.weights.items():
            assert weights[name].dtype == value.dtype
            assert weights[name].shape == value.shape
            assert weights[name].tobytes() == value.tobytes()

    def test_missing(self, tmp_path):
        with pytest.raises(ArtifactError, match="missing"):
            read_weights(tmp_path / "weights")

    def test_any_damage_is_told_or_harmless(self, tmp_path):
        folder = tmp_path / "weights"
        write_weights(folder, self.weights, {"loss": 1.0})
        intact = {path: path.read_bytes() for path in sorted(folder.iterdir())}

        @settings(max_examples=100, deadline=None, database=None)
        @given(
            path=st.sampled_from(list(intact)),
            kind=st.sampled_from(["cut", "flip", "empty", "remove"]),
            share=st.floats(0, 1, exclude_max=True),
            bits=st.integers(1, 255),
        )
        def check(path, kind, share, bits):
            for other, content in intact.items():
                other.write_bytes(content)
            damaged = bytearray(intact[path])
            place = int(share * len(damaged))
            damaged[place] ^= bits
            if kind == "remove":
                path.unlink()
            else:
                path.write_bytes({"cut": damaged[:place], "flip": damaged, "empty": b""}[kind])
            try:
                weights, _ = read_weights(folder)
            except ArtifactError as error:
                assert "\n" not in str(error)
                assert str(folder) in str(error)
                assert "snakemake" in error.remedy
            else:
                # Such as the end of the data, which holds no weights.
                assert kind != "remove"
                for name, value in self.weights.items():
                    assert weights[name].tobytes() == value.tobytes()

        check()


class TestOtherPhysics:
    """Weights that go on with what they were not trained for are told of, and nothing else is."""

    @pytest.fixture
    def trained(self, folder):
        artifacts.record_provenance(
            [folder],
            stage="test",
            settings={"couplings": {"lam": 25.0, "t": 0.28}},
            seed=1,
            started=time.time(),
            device="CPU",
        )
        return folder

    def told(self, folder, capsys, **now):
        tell_other_physics(folder, lambda settings: settings["couplings"], now)
        return capsys.readouterr().err

    def test_what_differs_is_named(self, trained, capsys):
        told = self.told(trained, capsys, lam=20.0, t=0.28)
        assert "trained with lam = 25.0; this training goes on with lam = 20.0." in told

    def test_nothing_is_said_of_the_same(self, trained, capsys):
        assert not self.told(trained, capsys, lam=25.0, t=0.28)

    def test_a_record_of_something_else_says_nothing(self, folder, capsys):
        assert not self.told(folder, capsys, lam=20.0)
