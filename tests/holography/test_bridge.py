"""ln Z and both divergences from samples of theory and flow."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.bridge import divergences, log_partition


def log_weights(points: np.ndarray, shift: float, constant: float) -> np.ndarray:
    """ln of e^constant N(shift, 1)/N(0, 1)."""
    return constant + shift * points - 0.5 * shift**2


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_shifted_gaussians(shift: float) -> None:
    rng = np.random.default_rng(1)
    of_theory = log_weights(shift + rng.standard_normal(8000), shift, 7.0)
    of_flow = log_weights(rng.standard_normal(4000), shift, 7.0)
    found = divergences(of_theory, of_flow)
    for one, exact in (
        (found.log_partition, 7.0),
        (found.forward, 0.5 * shift**2),
        (found.reverse, 0.5 * shift**2),
    ):
        assert abs(one.value - exact) < 4.0 * one.error
        assert 0.0 < one.error < 0.1


def test_a_known_partition_function_is_used() -> None:
    rng = np.random.default_rng(2)
    of_theory = log_weights(1.0 + rng.standard_normal(2000), 1.0, 0.0)
    of_flow = log_weights(rng.standard_normal(2000), 1.0, 0.0)
    found = divergences(of_theory, of_flow, known=-0.3)
    assert found.log_partition.value == pytest.approx(-0.3)
    assert found.log_partition.error == pytest.approx(0.0, abs=1e-12)
    assert found.forward.value == pytest.approx(of_theory.mean() + 0.3)


def test_an_exact_flow_is_told_without_noise() -> None:
    constant = np.full(50, 3.5)
    assert log_partition(constant, constant[:20]) == pytest.approx(3.5, abs=1e-9)
    assert divergences(constant, constant, chunks=4).forward.value == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("chunks", [1, 5])
def test_one_chunk_or_empty_ones_have_no_error(chunks: int) -> None:
    with pytest.raises(SettingsError, match=f"make no {chunks} chunks"):
        divergences(np.zeros(4), np.zeros(4), chunks=chunks)
