"""True samples and the symmetries that they are moved by."""

import numpy as np
import pytest
from free_fields import free_correlation

from emergence.holography.actions import ComplexPhi4, FreeField
from emergence.holography.true_samples import draw, moved

FREE = FreeField(1.0, 2.25)
COUNTS = {"chains": 2, "samples": 30, "thinning": 2, "thermalisation": 5}


def test_a_moved_field_has_the_same_action_and_is_another() -> None:
    rng = np.random.default_rng(1)
    field = rng.standard_normal((20, 4, 4)) + 1j * rng.standard_normal((20, 4, 4))
    after = moved(field, np.random.default_rng(2))
    action = ComplexPhi4(0.7, -1.0, 2.0)
    np.testing.assert_allclose(action.value(after), action.value(field), rtol=1e-12)
    np.testing.assert_allclose(
        np.sort(np.abs(after).ravel()), np.sort(np.abs(field).ravel()), rtol=1e-12
    )
    assert np.abs(after - field).max(axis=(1, 2)).min() > 0.1
    # Neither sites nor orientation stay: the largest site is found all over the torus.
    assert (
        len({int(np.argmax(np.abs(one))) for one in moved(np.tile(field[:1], (60, 1, 1)), rng)}) > 8
    )


@pytest.mark.parametrize("action", [FREE, ComplexPhi4(0.28, -199.44, 25.0)])
def test_draws_are_fixed_by_the_seed(action) -> None:
    first, again, other = (draw(action, 4, seed=seed, **COUNTS) for seed in (3, 3, 4))
    assert first.shape == (60, 4, 4)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_draws_of_the_free_field_have_its_correlation() -> None:
    field = draw(FREE, 4, seed=5, **COUNTS | {"samples": 4000})
    exact = free_correlation(FREE, 4)
    neighbour = np.mean((field.conj() * np.roll(field, 1, axis=2)).real)
    assert np.mean(np.abs(field) ** 2) == pytest.approx(exact[0, 0], rel=0.02)
    assert neighbour == pytest.approx(exact[0, 1], rel=0.05)
