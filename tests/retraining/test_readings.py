"""Numbers of a growth that are fitted: exponents and their errors."""

import numpy as np
import pytest

from emergence.retraining.readings import _exponent, _exponent_error

DISTANCES = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])


@pytest.mark.parametrize("eta", [0.25, 1.0, 2.5])
def test_the_exponent_of_a_power_law_is_found(eta):
    assert _exponent(DISTANCES, 0.3 * DISTANCES**-eta) == pytest.approx(eta, abs=1e-12)


def test_the_error_of_an_exponent_is_the_scatter_over_draws():
    """Of 20,000 draws of the values within their errors, for each seed its own."""
    rng = np.random.default_rng(3)
    values = np.stack([DISTANCES**-0.5, 0.2 * DISTANCES**-1.2])
    errors = values * np.array([[0.02], [0.04]]) * np.linspace(0.5, 1.5, len(DISTANCES))
    draws = values + errors * rng.normal(size=(20_000, *values.shape))
    fitted = np.array([[_exponent(DISTANCES, row) for row in draw] for draw in draws])
    told = _exponent_error(DISTANCES, values, errors)
    # The scatter of 20,000 draws is known to half a percent; the logarithm bends by less than two.
    np.testing.assert_allclose(told, fitted.std(axis=0), rtol=0.03)


def test_an_error_tells_of_the_distances_that_weigh():
    """That of the farthest distance moves the fit, that of one in the middle of the logarithms hardly."""
    values = DISTANCES**-0.5
    each = np.diag(0.1 * values)
    alone = np.array([_exponent_error(DISTANCES, values[None], one[None])[0] for one in each])
    assert alone[-1] > 5.0 * alone[2]
    both = _exponent_error(DISTANCES, values[None], 0.1 * values[None])[0]
    assert both == pytest.approx(np.sqrt(np.sum(alone**2)))
