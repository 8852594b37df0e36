"""Trained flows that are shipped: invertible to rounding, whatever training has made of them."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emergence.holography import growth
from emergence.holography.arms import problem_of
from emergence.settings import load

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights" / "holography"
HOPPINGS = (0.1, 0.28, 0.5)
SAMPLES = 16
"""Of each hopping."""


def round_trip(name: str, arm: str, side: int, dtype: str) -> np.ndarray:
    """Largest difference of x → z → x from x, for each of the flow's own samples."""
    problem = problem_of(load(ROOT / "config" / "shipped.yaml"), arm, side)
    trained, *_ = growth.read_flow(WEIGHTS / name)
    parameters = {key: tf.constant(value[:1], dtype) for key, value in trained.items()}
    t = np.repeat(HOPPINGS, SAMPLES)
    couplings = tf.constant(np.stack([t, -200.0 + 2.0 * t], axis=1)[None], dtype)

    @tf.function(autograph=False)
    def run(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        latents = problem.flow.chart.sample(seed, [1, len(t), side, side], tf.as_dtype(dtype))
        field, _ = problem.flow.generate(parameters, latents, couplings)
        back, _ = problem.flow.invert(parameters, field, couplings)
        return field, problem.flow.generate(parameters, back, couplings)[0]

    first, second = run(tf.constant([1, 2]))
    assert np.abs(first).max() > 0.1
    return np.abs(first - second).max(axis=(0, 2, 3, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arm", "side"),
    [
        ("ising_16", "ising", 16),
        ("line_16", "line", 16),
        ("critical_32", "critical", 32),
        ("line_32", "line", 32),
    ],
)
def test_in_double_precision_to_ten_digits(name: str, arm: str, side: int) -> None:
    assert round_trip(name, arm, side, "float64").max() < 1e-10


@pytest.mark.slow
def test_the_smooth_one_in_single_precision_to_five() -> None:
    assert round_trip("ising_16", "ising", 16, "float32").max() < 1e-5


@pytest.mark.slow
def test_splines_magnify_what_single_precision_loses() -> None:
    """Why chains on the largest torus, and every final number, are in double precision."""
    found = round_trip("line_16", "line", 16, "float32")
    assert 1e-5 < found.max() < 0.1
