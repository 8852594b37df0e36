"""Footprints of latents on the boundary, and correlation lengths of bulk and boundary."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.actions import FreeField
from emergence.holography.bulk import BulkCovariance
from emergence.holography.exact import free_sample
from emergence.holography.footprint import (
    boundary_covariance,
    correlation_length,
    footprint,
    footprints,
    growth,
    half_maximum,
    participation,
    second_moment_length,
)
from emergence.holography.information import free_field_covariance
from emergence.holography.linear_map import LinearMap
from emergence.holography.mutual_information import Estimate


def latents(count: int, side: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, side * side))


def exponential(length: float, side: int = 64) -> np.ndarray:
    """Correlations of a continuum-like massive field, by displacement."""
    momenta = 2.0 - 2.0 * np.cos(2.0 * np.pi * np.arange(side) / side)
    return np.fft.ifft2(1.0 / (length**-2 + momenta[:, None] + momenta)).real


def test_footprints_of_haar_are_its_blocks() -> None:
    haar, rng = LinearMap.haar(16), np.random.default_rng(2)
    prints = footprints(haar.generate, latents(60, 16), haar.table, rng=rng)
    for level, one in enumerate(prints):
        area = 4.0 ** (level + 1)
        assert one.participation.value == pytest.approx(area, rel=1e-12)
        assert one.half_maximum.value == area
        assert one.share == pytest.approx(area / 256.0)
        moved = np.argwhere(one.mean > 0.0)
        assert np.ptp(moved, axis=0).tolist() == [2 ** (level + 1) - 1] * 2
    exponent = growth(prints)
    assert exponent.value == pytest.approx(2.0, abs=1e-9)
    assert exponent.error < 0.01


def test_a_map_without_hierarchy_has_footprints_that_do_not_grow() -> None:
    table, rng = LinearMap.haar(8).table, np.random.default_rng(3)

    def local(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, 8, 8)

    areas = []
    for level in (0, 1):
        one = footprint(local, latents(40, 8), table, level, rng=rng, chunks=2)
        # Three members of a cell come to lie on three sites at most.
        areas.append(one.participation.value)
    assert areas[1] < 2.0 * areas[0] + 1e-9


def test_disentanglers_widen_the_footprint() -> None:
    rng = np.random.default_rng(4)
    haar = LinearMap.haar(16)
    turn = np.linalg.qr(np.eye(4) + 0.4 * rng.standard_normal((4, 4)))[0]
    wide = LinearMap(haar.decimators, np.tile(turn, (4, 1, 1)))
    one = footprint(wide.generate, latents(100, 16), wide.table, 1, rng=rng)
    assert one.participation.value > 16.5
    assert 0.0 < one.participation.error < 0.2 * one.participation.value
    # The footprint is in the middle wherever the changed latent was.
    middle = one.mean[4:16, 4:16].sum()
    assert middle > 0.9 * one.mean.sum()


def test_channels_and_nonlinear_maps() -> None:
    haar, rng = LinearMap.haar(8), np.random.default_rng(5)

    def generate(values: np.ndarray) -> np.ndarray:
        return np.stack([np.sinh(haar.generate(values[..., c])) for c in (0, 1)], axis=-1)

    values = rng.standard_normal((40, 64, 2))
    one = footprint(generate, values, haar.table, 0, rng=rng, strength=0.1)
    assert one.mean.shape == (8, 8)
    assert one.participation.value <= 4.0 + 1e-9
    far = footprint(generate, values, haar.table, 0, rng=rng, strength=1.0)
    assert far.mean.max() > 2.0 * one.mean.max()


def test_areas_of_known_shapes() -> None:
    flat = np.zeros((8, 8))
    flat[:3, :4] = 2.0
    assert participation(flat) == pytest.approx(12.0)
    assert half_maximum(flat) == 12.0
    row = np.arange(64) - 32.0
    bell = np.exp(-(row[:, None] ** 2 + row**2) / (2.0 * 25.0))
    assert participation(bell) == pytest.approx(4.0 * np.pi * 25.0, rel=1e-6)
    assert half_maximum(bell) == pytest.approx(2.0 * np.pi * 25.0 * np.log(2.0), rel=0.03)


@pytest.mark.parametrize("length", [1.0, 3.0])
def test_second_moment_length_of_a_massive_field_is_its_inverse_mass(length: float) -> None:
    assert second_moment_length(exponential(length)) == pytest.approx(length, rel=1e-10)
    # Exponential up to a power: the mass ln C(r)/C(r + 1) levels off at 2 asinh(m/2).
    masses = -np.diff(np.log(exponential(length)[0]))
    tail, plain = masses[10:14], masses[:3]
    mass = 2.0 * np.arcsinh(0.5 / length)
    assert np.all(np.abs(tail - mass) < 0.12)
    assert plain[0] > tail[0]


def test_length_by_squares_does_not_see_signs() -> None:
    along = np.exp(-np.minimum(np.arange(64), 64 - np.arange(64)) / 2.0)
    smooth = (along[:, None] * along)[None, :, :, None, None]
    sign = (-1.0) ** np.add.outer(np.arange(64), np.arange(64))
    staggered = smooth * sign[None, :, :, None, None]
    value = correlation_length(smooth).value
    assert value == pytest.approx(correlation_length(staggered).value, rel=1e-12)
    assert 1.5 < value < 3.0
    assert second_moment_length(staggered[0, ..., 0, 0]) == 0.0


def bulk_lengths(covariance: BulkCovariance) -> dict[int, Estimate]:
    """Correlation length of every layer with at least four cells a side, in cells, by level."""
    return {
        level: correlation_length(covariance.blocks[level, level])
        for level, cells in covariance.table.cells.items()
        if len(cells) >= 4
    }


def test_bulk_is_massive_under_a_critical_boundary() -> None:
    haar, rng = LinearMap.haar(16), np.random.default_rng(6)
    field = free_sample(FreeField(1.0, 2.0 + 0.005), 16, 2000, rng)
    bulk = BulkCovariance.sampled(haar.invert(field), haar.table, chunks=20)
    exact = BulkCovariance.exact(haar.covariance(free_field_covariance(16, 0.01)), haar.table)
    lengths, known = bulk_lengths(bulk), bulk_lengths(exact)
    assert list(lengths) == [0, 1]
    for level, estimate in lengths.items():
        assert abs(estimate.value - known[level].value) < 4.0 * estimate.error + 0.005
        assert estimate.error < 0.1 * estimate.value
        assert known[level].error == 0.0
    boundary = correlation_length(boundary_covariance(field))
    assert boundary.value > 5.0 * max(one.value for one in lengths.values())
    # A gapped boundary is no longer than its bulk's cells.
    gapped = free_sample(FreeField(1.0, 4.0), 16, 2000, rng)
    assert correlation_length(boundary_covariance(gapped)).value < 1.0


def test_bad_input_is_told_in_a_sentence() -> None:
    haar, rng = LinearMap.haar(4), np.random.default_rng(7)
    with pytest.raises(SettingsError, match="moves the boundary"):
        footprint(lambda z: np.zeros((len(z), 4, 4)), latents(20, 4), haar.table, 0, rng=rng)
    with pytest.raises(SettingsError, match="make no 10 chunks"):
        footprint(haar.generate, latents(5, 4), haar.table, 0, rng=rng)
    prints = footprints(haar.generate, latents(20, 4), haar.table, rng=rng)
    with pytest.raises(SettingsError, match="too few for a slope"):
        growth(prints)
    with pytest.raises(SettingsError, match="no correlation length"):
        correlation_length(np.ones((1, 2, 2, 1, 1)))
    with pytest.raises(SettingsError, match="chunks"):
        boundary_covariance(np.zeros((3, 4, 4)))
