"""Weights and the record of what they are."""

import time

import numpy as np
import pytest

from emergence import artifacts
from emergence.errors import ArtifactError
from emergence.weights import check_weights, read_weights, write_weights


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "weights"
    write_weights(path, {"p/a/b": np.arange(3.0), "p/c": np.ones((2, 2), np.float32)}, {"step": 4})
    artifacts.record_provenance(
        [path], stage="test", settings={}, seed=1, started=time.time(), device="CPU"
    )
    return path


def test_names_values_types_and_numbers_come_back(folder):
    weights, numbers = read_weights(folder)
    np.testing.assert_array_equal(weights["p/a/b"], np.arange(3.0))
    assert weights["p/c"].dtype == np.float32
    assert numbers == {"step": 4}


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
