"""The prior that is trained with the map frozen: its couplings, its density, and what it learns."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.holography.actions import ComplexPhi4, FreeField
from emergence.holography.bulk import BulkTable
from emergence.holography.bulk_prior import gaussian_latents
from emergence.holography.densities import Phi4Theory
from emergence.holography.flow import FlowProblem
from emergence.holography.hierarchy import real_nvp_flow, spline_flow, with_prior
from emergence.holography.learnt_prior import (
    PRIOR,
    LearntPrior,
    cells_of,
    exponential_less_one,
    lattice_of,
    of_prior,
)
from emergence.holography.positions import bulk_positions
from emergence.settings import FlowStage
from emergence.training import train

POLAR, PLANE = (
    with_prior(flow, 1).prior.chart
    for flow in (
        spline_flow(Phi4Theory.of(ComplexPhi4.recalled(0.28)), 2),
        real_nvp_flow(Phi4Theory.of(ComplexPhi4.recalled(0.28)), 2),
    )
)
few = settings(max_examples=10, deadline=None)
SEEDS = st.integers(0, 2**31 - 2)


def coupled(prior: LearntPrior, seed: int, size: float = 0.1) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    start = prior.initial_parameters(1)
    return {k: tf.constant(v + size * rng.standard_normal(v.shape)) for k, v in start.items()}


def draw(prior: LearntPrior, batch: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    shape = [1, batch, prior.side, prior.side]
    return prior.chart.sample(tf.constant([seed, 2]), shape, tf.float64), tf.zeros(
        [1, batch], tf.float64
    )


@cache
def traced(side: int, reach: int, polar: bool):
    """A prior, and both of its directions as compiled graphs."""
    prior = LearntPrior(side, reach, POLAR if polar else PLANE)
    return prior, *(
        tf.function(run, jit_compile=True, autograph=False)
        for run in (prior.forward, prior.inverse)
    )


def matrix_of(prior: LearntPrior, parameters: dict[str, tf.Tensor]) -> np.ndarray:
    """ζ = Mε of its real parts, sites in row-major order; imaginary parts must stay none."""
    sites = prior.side**2
    unit = np.zeros((1, sites, prior.side, prior.side, 2))
    unit[0, ..., 0] = np.eye(sites).reshape(sites, prior.side, prior.side)
    found = (
        LearntPrior(prior.side, prior.reach, PLANE)
        .forward(parameters, tf.constant(unit), tf.zeros([1, sites], tf.float64))[0]
        .numpy()
    )
    assert np.abs(found[..., 1]).max() < 1e-12
    return found[0, ..., 0].reshape(sites, sites).T


def test_no_couplings_are_the_identity_to_the_last_bit() -> None:
    prior, forward, _ = traced(8, 1, False)
    latents, mu = draw(prior, 3, 0)
    still = {k: tf.constant(v) for k, v in prior.initial_parameters(1).items()}
    found, change = forward(still, latents, mu)
    np.testing.assert_array_equal(found, latents)
    np.testing.assert_array_equal(change, np.zeros((1, 3)))


@pytest.mark.parametrize("polar", [True, False])
@pytest.mark.parametrize("side", [2, 8])
@few
@given(seed=SEEDS)
def test_coupled_and_back(side: int, polar: bool, seed: int) -> None:
    prior, forward, inverse = traced(side, 2, polar)
    parameters = coupled(prior, seed)
    latents, mu = draw(prior, 4, seed)
    placed, change = forward(parameters, latents, mu)
    assert np.abs(placed - latents).max() > 1e-2
    back, changed_back = inverse(parameters, placed, mu)
    np.testing.assert_allclose(changed_back, -change, rtol=0, atol=1e-10)
    plane, plane_back = (prior.chart.to_field(one, mu)[0] for one in (latents, back))
    np.testing.assert_allclose(plane_back, plane, rtol=0, atol=1e-10)


@pytest.mark.parametrize("side", [4, 8])
@few
@given(seed=SEEDS)
def test_the_log_determinant_is_that_of_the_couplings(side: int, seed: int) -> None:
    prior, forward, _ = traced(side, 1, False)
    parameters = coupled(prior, seed)
    matrix = matrix_of(prior, parameters)
    sign, expected = np.linalg.slogdet(matrix)
    # Of the real and of the imaginary parts alike.
    assert sign > 0.0
    assert forward(parameters, *draw(prior, 1, 0))[1].numpy() == pytest.approx(2.0 * expected)


@few
@given(seed=SEEDS)
def test_cells_of_a_level_are_coupled_by_the_exponential_of_their_kernel(seed: int) -> None:
    """All pairs of cells one by one, and SciPy's exponential."""
    side, level = 8, 0
    prior = LearntPrior(side, 1, PLANE)
    parameters = coupled(prior, seed)
    parameters |= {k: 0.0 * v for k, v in parameters.items() if k != f"{level}/within"}
    kernel = parameters[f"{level}/within"].numpy()[0]
    cells = BulkTable.of(bulk_positions(side)).cells[level]
    n = len(cells)
    dense = np.zeros((side**2, side**2))
    for row, column in np.ndindex(n, n):
        for i, down in enumerate((0, -1, 1)):
            for j, right in enumerate((0, -1, 1)):
                taker = cells[(row + down) % n, (column + right) % n]
                dense[np.ix_(taker, cells[row, column])] += kernel[i, j]
    expected = scipy.linalg.expm(0.5 * (dense + dense.T))
    np.testing.assert_allclose(matrix_of(prior, parameters), expected, rtol=0, atol=1e-12)


def test_cells_below_take_what_is_added_to_them() -> None:
    side = 8
    prior = LearntPrior(side, 0, PLANE)
    parameters = {k: tf.constant(v) for k, v in prior.initial_parameters(1).items()}
    kernel = np.zeros((1, 2, 2, 3, 3))
    kernel[0, 1, 0, 2, 1] = 0.3
    parameters["0/above"] = tf.constant(kernel)
    change = matrix_of(prior, parameters) - np.eye(side**2)
    fine, coarse = (BulkTable.of(bulk_positions(side)).cells[level] for level in (0, 1))
    expected = np.zeros_like(change)
    for row, column in np.ndindex(2, 2):
        # One cell down from the first of the four that lie below the coarse one.
        expected[fine[2 * row + 1, 2 * column, 2], coarse[row, column, 1]] = 0.3
    np.testing.assert_allclose(change, expected, rtol=0, atol=1e-14)


@few
@given(seed=SEEDS, angle=st.floats(-np.pi, np.pi))
def test_turning_all_latents_turns_them_afterwards(seed: int, angle: float) -> None:
    prior, forward, _ = traced(8, 2, True)
    parameters = coupled(prior, seed)
    latents, mu = draw(prior, 2, seed)
    turned = latents + tf.constant([0.0, angle], tf.float64)
    (one, change), (other, changed) = (forward(parameters, x, mu) for x in (latents, turned))
    np.testing.assert_allclose(other[..., 0], one[..., 0], rtol=0, atol=1e-9)
    phases = np.exp(1j * (other - one)[..., 1].numpy())
    np.testing.assert_allclose(phases, np.exp(1j * angle), rtol=0, atol=1e-9)
    np.testing.assert_allclose(changed, change, rtol=0, atol=1e-9)


@few
@given(seed=SEEDS, data=st.data())
def test_moving_the_latents_by_cells_moves_them_afterwards(seed: int, data: st.DataObject) -> None:
    """By cells of the coarsest level that is coupled; the levels above do not care."""
    prior, forward, _ = traced(8, 2, False)
    bent = data.draw(
        st.integers(1, 2), label="levels that are coupled, the last within itself only"
    )
    shift = [2**bent * data.draw(st.integers(0, 8 // 2**bent - 1)) for _ in range(2)]
    parameters = coupled(prior, seed)
    for name, value in parameters.items():
        level, which = name.split("/")
        if int(level) + (which == "above") >= bent:
            parameters[name] = 0.0 * value
    latents, mu = draw(prior, 2, seed)
    (one, change), (other, changed) = (
        forward(parameters, x, mu) for x in (latents, tf.roll(latents, shift, axis=[2, 3]))
    )
    np.testing.assert_allclose(other, tf.roll(one, shift, axis=[2, 3]), rtol=0, atol=1e-10)
    np.testing.assert_allclose(changed, change, rtol=0, atol=1e-10)


def test_cells_are_those_of_the_table() -> None:
    numbers = np.arange(64.0).reshape(1, 1, 8, 8)
    found = cells_of(tf.constant(numbers))
    table = BulkTable.of(bulk_positions(8)).cells
    for level, cells in enumerate(found[:-1]):
        np.testing.assert_array_equal(np.moveaxis(cells[0, 0].numpy(), 0, -1), table[level])
    # Of the last also the lone site, which has a level of its own there.
    top = [*table[3].ravel(), *table[2].ravel()]
    np.testing.assert_array_equal(found[-1].numpy().ravel(), top)
    np.testing.assert_array_equal(lattice_of(found), numbers)


@given(seed=SEEDS, norm=st.floats(0.01, 4.0))
def test_exponential(seed: int, norm: float) -> None:
    matrix = np.random.default_rng(seed).standard_normal((4, 4))
    matrix += matrix.T
    matrix *= norm / np.linalg.norm(matrix, 2)
    expected = scipy.linalg.expm(matrix) - np.eye(4)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(exponential_less_one(matrix), expected, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("polar", [True, False])
def test_the_plane_is_that_of_the_fitted_prior(polar: bool) -> None:
    prior = LearntPrior(4, 1, POLAR if polar else PLANE)
    latents, mu = draw(prior, 50, 1)
    plane = prior.chart.to_field(latents, mu)[0].numpy()[0]
    zeta = (plane[..., 0] + 1j * plane[..., 1]).reshape(50, -1) / (1.0 if polar else np.sqrt(2.0))
    expected = gaussian_latents(latents.numpy()[0], polar=polar)
    np.testing.assert_allclose(zeta, expected, rtol=1e-8)


# --- training: the free field, of which a Gaussian prior can take up what the map lacks -------------

FREE = FreeField(1.0, 2.25)


def precision(side: int) -> np.ndarray:
    """Of the free field's real parts, sites in row-major order: S = ½ xᵀPx of each."""
    row = np.fft.ifft2(2.0 * FREE.eigenvalues(side)).real
    x, y = np.divmod(np.arange(side**2), side)
    return row[(x[:, None] - x) % side, (y[:, None] - y) % side]


def divergence(wanted: np.ndarray, matrix: np.ndarray) -> float:
    """KL of N(0, MMᵀ) to N(0, P⁻¹), real and imaginary parts together."""
    log_dets = np.linalg.slogdet(wanted)[1] + 2.0 * np.linalg.slogdet(matrix)[1]
    return float(np.trace(wanted @ matrix @ matrix.T) - len(wanted) - log_dets)


def best_of_single_cells(wanted: np.ndarray) -> float:
    """Least KL on 4 × 4 where a cell of level 0 takes from the levels above alone.

    Given the top, level 0 has the mean that the theory gives it; of its noise, the same in each cell
    and independent between cells, the best covariance is the inverse of the mean block of P, by
    tr PC − ln det C. The top then has its own covariance.
    """
    cells = BulkTable.of(bulk_positions(4)).cells[0].reshape(4, 3)
    finest = wanted[np.ix_(cells.ravel(), cells.ravel())]
    block = np.mean([wanted[np.ix_(cell, cell)] for cell in cells], axis=0)
    return 4.0 * np.linalg.slogdet(block)[1] - np.linalg.slogdet(finest)[1]


@pytest.mark.parametrize(("reach", "estimator"), [(0, "score"), (1, "score"), (1, "path")])
def test_training_finds_the_best_couplings_and_keeps_the_map(
    reach: int, estimator: str, tmp_path: Path
) -> None:
    plain = real_nvp_flow(Phi4Theory.of(FREE), 4, couplings=2, width=4, radial=False)
    flow = with_prior(plain, reach)
    problem = FlowProblem(flow, Phi4Theory.of(FREE), seeds=1, seed=3)
    start = problem.initial_parameters()
    stage = FlowStage(
        update="adam", steps=400, batch=256, rate=0.02, final_rate=0.01, clip_norm=1e3,
        estimator=estimator,
    )  # fmt: skip
    trained = train(
        problem, [stage], seed=1, title="prior", checkpoint=tmp_path / "c",
        start={f"p/{key}": value for key, value in start.items()},
    ).parameters  # fmt: skip
    for name, value in start.items():
        assert np.array_equal(trained[name], value) != of_prior(name), name
    own = {
        name.removeprefix(PRIOR): tf.constant(value, tf.float64)
        for name, value in trained.items()
        if of_prior(name)
    }
    wanted = precision(4)
    before = divergence(wanted, np.eye(16))
    after = divergence(wanted, matrix_of(flow.prior, own))
    # With a reach of one, all that a translation by cells leaves is within reach on 4 × 4.
    best = best_of_single_cells(wanted) if reach == 0 else 0.0
    assert best - 1e-6 < after < best + 0.02 * (before - best)
    assert before > 10.0 * best > -1e-9
