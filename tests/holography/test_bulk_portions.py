"""Covariances of many fields, portion after portion, and what a killed run leaves of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from emergence.holography.bulk import BulkCovariance, BulkTable
from emergence.holography.bulk_pairs import pair_information
from emergence.holography.bulk_portions import Portions, Sums
from emergence.holography.positions import bulk_positions
from emergence.progress import Progress

SIDE, SAMPLES, CHUNKS = 4, 400, 4
TABLE = BulkTable.of(bulk_positions(SIDE))


def flow(circular: bool = True) -> SimpleNamespace:
    """The identity in place of a flow."""
    return SimpleNamespace(
        table=TABLE,
        circular=circular,
        invert=lambda field: (np.stack([field.real, field.imag], axis=-1), None),
        variables=lambda latents: (latents[..., 0] + 1j * latents[..., 1]).reshape(
            len(latents), -1
        ),
    )


def field(portion: int) -> np.ndarray:
    """Each field with its negative next to it, so that the mean that is subtracted is zero."""
    rng = np.random.default_rng(portion)
    shape = (SAMPLES // 2, 1, SIDE, SIDE)
    half = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return np.concatenate([half, -half], axis=1).reshape(SAMPLES, SIDE, SIDE)


def portions(number: int, drawn: list[int] | None = None) -> Portions:
    def draw(portion: int) -> np.ndarray:
        if drawn is not None:
            drawn.append(portion)
        return field(portion)

    return Portions(flow().invert(field(0))[0], draw, number, CHUNKS)


def run(many: Portions, store: Sums, of: SimpleNamespace | None = None) -> BulkCovariance:
    with Progress("portions", many.number) as progress:
        return many.covariance(of or flow(), store, progress)


NOWHERE = Sums(None, "", 0.0)


@pytest.mark.parametrize("circular", [True, False])
def test_chunks_hold_the_fields_of_every_portion(circular: bool) -> None:
    found = run(portions(3), NOWHERE, flow(circular))
    size = SAMPLES // CHUNKS
    parts = [field(portion).reshape(CHUNKS, size, -1) for portion in range(3)]
    # All fields at once, those of a chunk next to each other.
    latents = np.concatenate(parts, axis=1).reshape(CHUNKS * 3 * size, -1)
    if not circular:
        latents = np.stack([latents.real, latents.imag], axis=-1)
    once = BulkCovariance.sampled(latents, TABLE, chunks=CHUNKS)
    assert found.circular == once.circular and found.components == once.components
    for levels, block in once.blocks.items():
        np.testing.assert_allclose(found.blocks[levels], block, atol=1e-12)
    one = run(portions(1), NOWHERE).blocks[0, 0]
    np.testing.assert_array_equal(
        one,
        BulkCovariance.sampled(field(0).reshape(SAMPLES, -1), TABLE, chunks=CHUNKS).blocks[0, 0],
    )


def test_the_noise_of_what_is_not_shared_falls_as_the_number_of_fields() -> None:
    """Not as its root, by which sixteen times the fields would gain four."""

    def noise(number: int) -> float:
        values = []
        for first in range(0, 1200, 100):
            many = Portions(
                flow().invert(field(first))[0], lambda n, at=first: field(at + n), number, 10
            )
            values.append(pair_information(run(many, NOWHERE), rng=np.random.default_rng(0)).value)
        return float(np.sqrt(np.mean(np.square(values))))

    assert 8.0 < noise(1) / noise(16) < 24.0


def test_a_killed_run_goes_on_bit_for_bit(tmp_path) -> None:
    file = tmp_path / "checkpoint.npz"
    whole = run(portions(5), NOWHERE)
    run(portions(3), Sums(file, "of these", 0.0))
    drawn: list[int] = []
    again = run(portions(5, drawn), Sums(file, "of these", 0.0))
    assert drawn == [3, 4], "Neither the first three nor any twice."
    for levels, block in whole.blocks.items():
        np.testing.assert_array_equal(again.blocks[levels], block)
    drawn.clear()
    run(portions(5, drawn), Sums(file, "of these", 0.0))
    assert drawn == [], "A run that was killed after its last portion has all of them."


def test_sums_of_another_study_or_torn_ones_are_not_continued(tmp_path, capsys) -> None:
    file = tmp_path / "checkpoint.npz"
    run(portions(3), Sums(file, "of these", 0.0))
    assert Sums(file, "of others", 0.0).resume() == (0, None)
    assert "of other settings or weights" in capsys.readouterr().err
    file.write_bytes(file.read_bytes()[:100])
    assert Sums(file, "of these", 0.0).resume() == (0, None)
    assert "cannot be read" in capsys.readouterr().err


def test_nothing_is_written_before_its_time(tmp_path) -> None:
    file = tmp_path / "checkpoint.npz"
    run(portions(2), Sums(file, "of these", 1e6))
    assert not file.exists()
