"""The five maps into the bulk: what each makes of the same field, site by site."""

from types import SimpleNamespace

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography import bulk_maps
from emergence.holography.bulk_stored import MAPS
from emergence.holography.linear_map import LinearMap
from emergence.holography.optimal_map import linear_multi_information

SIDE, SAMPLES = 4, 6


def rotations(rng, count):
    """Orthogonal 4×4 matrices ``[count, 4, 4]``."""
    return np.linalg.qr(rng.standard_normal((count, 4, 4)))[0]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def field(rng):
    return rng.standard_normal((SAMPLES, SIDE, SIDE)) + 1j * rng.standard_normal(
        (SAMPLES, SIDE, SIDE)
    )


class TestSpectra:
    def test_are_the_mean_over_the_eight_images_of_each_field(self, field):
        """Here the fields are turned and mirrored, there the spectra."""
        images = [np.rot90(f, n, axes=(1, 2)) for f in (field, field[:, ::-1]) for n in range(4)]
        power = [np.abs(np.fft.fft2(image)) ** 2 / SIDE**2 for image in images]
        expected = np.mean(power, axis=0).reshape(2, 3, SIDE, SIDE).mean(axis=1)
        np.testing.assert_allclose(bulk_maps.spectra(field, 2), expected, rtol=1e-12)

    def test_of_a_plane_wave_is_shared_by_the_waves_along_both_axes(self):
        wave = np.exp(2j * np.pi * np.arange(SIDE) / SIDE)
        found = bulk_maps.spectra(np.tile(wave, (1, SIDE, 1)), 1)[0]
        expected = np.zeros((SIDE, SIDE))
        expected[0, 1] = expected[0, -1] = expected[1, 0] = expected[-1, 0] = SIDE**2 / 4
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_leave_out_what_makes_no_whole_chunk(self, field):
        changed = field.copy()
        changed[4:] = 1e3
        np.testing.assert_array_equal(bulk_maps.spectra(changed, 4), bulk_maps.spectra(field, 4))

    def test_ask_for_a_sample_per_chunk(self, field):
        assert bulk_maps.spectra(field, SAMPLES).shape == (SAMPLES, SIDE, SIDE)
        with pytest.raises(SettingsError, match="6 samples make no 7 chunks"):
            bulk_maps.spectra(field, SAMPLES + 1)


class TestLinear:
    def test_a_disentangler_takes_the_four_sites_around_a_corner(self, rng, field):
        disentanglers, decimators = rotations(rng, 2), rotations(rng, 2)
        bulk = bulk_maps.linear(LinearMap(decimators, disentanglers), field)
        for y, x in ((1, 1), (1, 3), (3, 3)):
            corner = [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)]
            corner = [(row % SIDE, column % SIDE) for row, column in corner]
            taken = np.stack([field[:, row, column] for row, column in corner], axis=-1)
            given = np.stack([bulk.turned[:, row, column] for row, column in corner], axis=-1)
            np.testing.assert_allclose(given, taken @ disentanglers[0].T, rtol=1e-12)

    def test_the_first_step_is_that_of_the_whole_map(self, rng, field):
        map_ = LinearMap(rotations(rng, 2), rotations(rng, 2))
        bulk = bulk_maps.linear(map_, field)
        details = bulk.step[..., 1:].reshape(SAMPLES, -1)
        np.testing.assert_allclose(bulk.latents[:, : details.shape[1]], details, rtol=1e-12)
        rest = LinearMap(map_.decimators[1:], map_.disentanglers[1:])
        coarse = rest.invert(bulk.step[..., 0])
        np.testing.assert_allclose(bulk.latents[:, details.shape[1] :], coarse, rtol=1e-12)
        assert bulk.map is map_

    def test_without_disentanglers_the_field_itself_is_decimated(self, field):
        bulk = bulk_maps.linear(LinearMap.haar(SIDE), field)
        np.testing.assert_array_equal(bulk.turned, field)
        block = field[:, 2:, :2]
        np.testing.assert_allclose(bulk.step[:, 1, 0, 0], block.sum(axis=(1, 2)) / 2, rtol=1e-12)
        np.testing.assert_allclose(
            bulk.step[:, 1, 0, 1],
            (block[:, :, 0] - block[:, :, 1]).sum(axis=1) / 2,
            rtol=1e-12,
        )


class TestOptimal:
    def test_leaves_less_among_the_latents_than_haar_wavelets_and_random_blocks(self, rng):
        cosines = np.cos(2 * np.pi * np.arange(8) / 8)
        spectrum = 1.0 / (0.25 + 4.0 - 2.0 * (cosines[:, None] + cosines))
        found = bulk_maps.optimal(spectrum, rng)
        for blocks in (found.decimators, found.disentanglers):
            np.testing.assert_allclose(
                blocks @ blocks.swapaxes(1, 2), np.tile(np.eye(4), (3, 1, 1)), atol=1e-9
            )
        others = [LinearMap.haar(8), LinearMap(rotations(rng, 3), rotations(rng, 3))]
        left = linear_multi_information(spectrum, found)
        assert all(left < 0.9 * linear_multi_information(spectrum, other) for other in others)
        assert left > 0.0


class Flow:
    """Stands in for a trained flow: doubles the field and passes marked parts on."""

    def __init__(self, circular: bool) -> None:
        self.circular, self.table = circular, LinearMap.haar(SIDE).table

    def variables(self, coordinates):
        return coordinates.reshape(SAMPLES, -1)

    def first_step(self, field):
        return 3.0 * field, 5.0 * field[:, ::2, ::2]


class TestBulks:
    @pytest.fixture(params=[True, False], ids=["circular", "real"])
    def made(self, request, rng, field):
        flow = Flow(request.param)
        spectrum = bulk_maps.spectra(field, 1)[0]
        bulks = dict(bulk_maps.bulks_of(flow, field, 2.0 * field, spectrum, rng))
        return SimpleNamespace(flow=flow, bulks=bulks)

    def test_are_those_that_a_study_stores(self, made):
        assert tuple(made.bulks) == MAPS

    def test_trained_is_what_the_flow_says(self, made, field):
        """The rest of a block are the latents of its own sites, the coarse site is the flow's."""
        bulk = made.bulks["trained"]

        def complex_(values):
            return values if made.flow.circular else values[..., 0] + 1j * values[..., 1]

        assert np.iscomplexobj(bulk.latents) == made.flow.circular
        np.testing.assert_array_equal(complex_(bulk.latents), 2.0 * field.reshape(SAMPLES, -1))
        np.testing.assert_array_equal(complex_(bulk.field), field)
        np.testing.assert_array_equal(complex_(bulk.turned), 3.0 * field)
        step = complex_(bulk.step)
        np.testing.assert_array_equal(step[..., 0], 5.0 * field[:, ::2, ::2])
        np.testing.assert_array_equal(step[..., 1], 2.0 * field[:, ::2, 1::2])
        np.testing.assert_array_equal(step[..., 3], 2.0 * field[:, 1::2, 1::2])
        assert bulk.map is None

    def test_untrained_are_the_field_s_own_sites(self, made, field):
        bulk = made.bulks["untrained"]
        np.testing.assert_array_equal(bulk.latents, field.reshape(SAMPLES, -1))
        np.testing.assert_array_equal(bulk.step[..., 2], field[:, 1::2, ::2])
        assert bulk.table is made.flow.table

    @pytest.mark.parametrize("name", ["haar", "random", "optimal"])
    def test_linear_maps_are_orthogonal_and_all_of_the_field(self, made, field, name):
        bulk = made.bulks[name]
        size = np.sum(np.abs(bulk.latents) ** 2, axis=1)
        np.testing.assert_allclose(size, np.sum(np.abs(field) ** 2, axis=(1, 2)), rtol=1e-9)
        np.testing.assert_allclose(bulk.map.generate(bulk.latents), field, atol=1e-9)

    def test_random_blocks_are_another_s_on_every_level(self, made):
        first, second = made.bulks["random"].map.decimators
        assert np.abs(first - second).max() > 0.1
