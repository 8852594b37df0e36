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
ROUNDED = 2.0**-24
"""What rounding to single precision changes a number by, at most, relative to it."""
TURNS = 4
"""Of the power iteration for the largest singular value."""
ROUGH = [("critical_32", 32), ("line_16", 16), ("line_32", 32)]
"""Where rounding the latents alone costs more than 10⁻⁵, so that no inverse could keep that."""


class Directions:
    """Both directions of a trained flow in one precision, for samples of its couplings."""

    def __init__(
        self, settings: Settings, arm: str, side: int, trained: Mapping[str, np.ndarray], dtype: str
    ) -> None:
        self.flow, self.dtype = problem_of(settings, arm, side).flow, tf.as_dtype(dtype)
        self._parameters = {key: tf.constant(value[:1], dtype) for key, value in trained.items()}
        points = np.array(points_of(settings.holography, arm))
        chosen = points[np.linspace(0, len(points) - 1, 3).astype(int)]
        self._couplings = tf.constant(np.repeat(chosen, SAMPLES // 3, axis=0)[None], dtype)
        self.generate = tf.function(self._generate, autograph=False)
        self.invert = tf.function(self._invert, autograph=False)
        self.pull_back = tf.function(self._pull_back, autograph=False)

    def draw(self) -> tf.Tensor:
        """Fields of the flow's own latents, ``[1, samples, L, L, c]``."""
        shape = [1, SAMPLES, self.flow.side, self.flow.side]
        return self.generate(self.flow.chart.sample(tf.constant([1, 2]), shape, self.dtype))

    def _generate(self, latents: tf.Tensor) -> tf.Tensor:
        return self.flow.generate(self._parameters, latents, self._couplings)[0]

    def _invert(self, field: tf.Tensor) -> tf.Tensor:
        return self.flow.invert(self._parameters, field, self._couplings)[0]

    def _pull_back(self, latents: tf.Tensor, field: tf.Tensor) -> tf.Tensor:
        """(∂x/∂z)ᵀ times a field."""
        with tf.GradientTape() as tape:
            tape.watch(latents)
            overlap = tf.reduce_sum(self._generate(latents) * field)
        return tape.gradient(overlap, latents)


def largest(difference: np.ndarray) -> np.ndarray:
    """Of each sample, ``[samples]``."""
    return np.abs(difference).max(axis=(0, 2, 3, 4))


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Of each sample, ``[1, samples, 1, 1, 1]``."""
    return np.sqrt(np.sum(np.square(vectors), axis=(2, 3, 4), keepdims=True))


def magnification(flow: Directions, latents: tf.Tensor) -> np.ndarray:
    """The largest singular value of ∂x/∂z at each sample, from below, ``[samples]``."""
    vector = np.random.default_rng(0).standard_normal(latents.shape)
    for _ in range(TURNS):
        step = 1e-6 * vector / lengths(vector)
        moved = (flow.generate(latents + step) - flow.generate(latents - step)).numpy() / 2e-6
        vector = flow.pull_back(latents, tf.constant(moved)).numpy()
    return lengths(moved).ravel()


def round_trip(
    settings: Settings, arm: str, side: int, trained: Mapping[str, np.ndarray], dtype: str
) -> np.ndarray:
    """Largest difference of x → z → x from x, for each of the flow's own samples."""
    flow = Directions(settings, arm, side, trained, dtype)
    first = flow.draw()
    assert np.abs(first).max() > 0.1
    return largest(flow.generate(flow.invert(first)) - first)


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
@pytest.mark.parametrize(
    "path", sorted(FINISHED.glob("*/*.npz")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_of_the_laptop_run_in_single_precision_to_what_the_map_makes_of_rounding(
    path: Path,
) -> None:
    """The error of x → z → x is that of rounding z once, magnified by the map, and no more."""
    (trained,) = finished.read(path).values()
    arm, side = path.parent.name, int(path.stem)
    single, double = (
        Directions(LAPTOP, arm, side, trained.parameters, dtype) for dtype in ("float32", "float64")
    )
    field = single.draw()
    error = largest(single.generate(single.invert(field)) - field)
    exact = tf.cast(field, tf.float64)
    latents = double.invert(exact)
    bound = magnification(double, latents) * ROUNDED * lengths(latents.numpy()).ravel()
    assert (error < 8.0 * bound).all()
    # The same with nothing rounded but z: what no inverse in single precision can go below.
    stored = tf.cast(tf.cast(latents, tf.float32), tf.float64)
    least = largest(double.generate(stored) - exact)
    assert (least < bound).all()
    assert np.median(error) < 40.0 * np.median(least)
    if (arm, side) in ROUGH:
        assert least.max() > 3e-5


@pytest.mark.slow
def test_the_smooth_one_in_single_precision_to_five() -> None:
    assert beforehand("ising_16", "ising", 16, "float32").max() < 1e-5


@pytest.mark.slow
def test_splines_magnify_what_single_precision_loses() -> None:
    """Why chains on the largest torus, and every final number, are in double precision."""
    found = beforehand("line_16", "line", 16, "float32")
    assert 1e-5 < found.max() < 0.1
