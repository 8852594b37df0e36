"""What is kept of the trainings that led to shipped weights."""

import pandas as pd
import pytest

from emergence.artifacts import write_numbers, write_table
from emergence.errors import ArtifactError
from emergence.training_record import record_of


@pytest.fixture
def arm(tmp_path):
    """Sizes 4, 8 and 16 of an arm; of 8 no pace was measured, and 16 is beyond what is shipped."""
    for size, spent, pace in ((4, 50.0, 0.1), (8, 30.0, None), (16, 99.0, 0.1)):
        folder = tmp_path / "arm" / str(size)
        told = {"commit": f"c{size}", "sha256": {"weights": f"h{size}"}, "processor_time_s": spent}
        write_numbers(folder / "weights.provenance.json", told)
        history = pd.DataFrame(
            {"stage": [0, 0, 1], "step": [100, 200, 100], "loss": [3.0, 2.0, 1.0]}
        )
        write_table(folder / "history.csv", history)
        if pace:
            write_numbers(folder / "timing.json", {"seconds_per_step": pace})
    return tmp_path / "arm"


def test_it_tells_of_every_size_up_to_that_of_the_weights(arm):
    record = record_of(arm / "8" / "weights")
    assert [each["size"] for each in record.trainings] == [4, 8]
    assert [each["sha256"] for each in record.trainings] == ["h4", "h8"]
    assert record.trainings[0]["commit"] == "c4"
    assert list(record.history["steps"]) == [100, 200, 300] * 2


def test_no_loss_is_dated_before_what_it_took(arm):
    """Three hundred steps of 0.1 s and 20 s of all else; then as many in 30 s, of which nothing is known."""
    history = record_of(arm / "8" / "weights").history
    assert list(history["seconds"]) == [30.0, 40.0, 50.0, 60.0, 70.0, 80.0]


def test_weights_without_a_history_have_no_record(tmp_path):
    assert record_of(tmp_path / "ising_16") is None
    assert record_of(tmp_path / "16" / "weights") is None


def test_a_corrupt_record_is_told(arm):
    (arm / "4" / "weights.provenance.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"weights\.provenance\.json"):
        record_of(arm / "8" / "weights")
