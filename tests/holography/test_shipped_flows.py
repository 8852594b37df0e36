"""Trained flows that are shipped: invertible to rounding, whatever training has made of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emergence import finished
from emergence.holography import growth
from emergence.holography.arms import problem_of
from emergence.holography.points import points_of
from emergence.settings import Settings, load

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights" / "holography"
LAPTOP = load(ROOT / "config" / "laptop.yaml")
FINISHED = ROOT / "weights" / "laptop" / "holography" / "flows"
SAMPLES = 12
"""Shared by three couplings of a conditional flow."""


def round_trip(
    settings: Settings, arm: str, side: int, trained: Mapping[str, np.ndarray], dtype: str
) -> np.ndarray:
    """Largest difference of x → z → x from x, for each of the flow's own samples."""
    problem = problem_of(settings, arm, side)
    parameters = {key: tf.constant(value[:1], dtype) for key, value in trained.items()}
    points = np.array(points_of(settings.holography, arm))
    chosen = points[np.linspace(0, len(points) - 1, 3).astype(int)]
    couplings = tf.constant(np.repeat(chosen, SAMPLES // 3, axis=0)[None], dtype)

    @tf.function(autograph=False)
    def run(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        latents = problem.flow.chart.sample(seed, [1, SAMPLES, side, side], tf.as_dtype(dtype))
        field, _ = problem.flow.generate(parameters, latents, couplings)
        back, _ = problem.flow.invert(parameters, field, couplings)
        return field, problem.flow.generate(parameters, back, couplings)[0]

    first, second = run(tf.constant([1, 2]))
    assert np.abs(first).max() > 0.1
    return np.abs(first - second).max(axis=(0, 2, 3, 4))


def beforehand(name: str, arm: str, side: int, dtype: str) -> np.ndarray:
    """:func:`round_trip` of weights that a run goes on from."""
    trained, *_ = growth.read_flow(WEIGHTS / name)
    return round_trip(load(ROOT / "config" / "shipped.yaml"), arm, side, trained, dtype)


def test_there_is_one_of_every_arm_but_those_left_out() -> None:
    found = {path.relative_to(FINISHED).with_suffix("") for path in FINISHED.glob("*/*.npz")}
    arms = LAPTOP.holography.flows
    assert found <= {Path(name) / str(side) for name in arms for side in arms[name].sizes}
    assert {path.parts[0] for path in found} == set(arms)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted(FINISHED.glob("*/*.npz")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_of_the_laptop_run_in_double_precision_to_ten_digits(path: Path) -> None:
    (trained,) = finished.read(path).values()
    arm, side = path.parent.name, int(path.stem)
    assert round_trip(LAPTOP, arm, side, trained.parameters, "float64").max() < 1e-10


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
    assert beforehand(name, arm, side, "float64").max() < 1e-10


@pytest.mark.slow
def test_the_smooth_one_in_single_precision_to_five() -> None:
    assert beforehand("ising_16", "ising", 16, "float32").max() < 1e-5


@pytest.mark.slow
def test_splines_magnify_what_single_precision_loses() -> None:
    """Why chains on the largest torus, and every final number, are in double precision."""
    found = beforehand("line_16", "line", 16, "float32")
    assert 1e-5 < found.max() < 0.1
