"""Variational training and exact evaluation: known partition functions, estimators, weights."""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from emergence.errors import ArtifactError, SettingsError
from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.holography.densities import IsingTheory, Phi4Theory
from emergence.holography.exact import free_log_partition, small_torus
from emergence.holography.flow import FlowProblem, compile_weigher, symmetrised
from emergence.holography.hierarchy import Ranges, real_nvp_flow, spline_flow
from emergence.holography.ising_exact import dual_log_partition
from emergence.holography.weights import Evaluation
from emergence.randomness import derive_seed
from emergence.settings import FlowStage
from emergence.training import train


def problem_of(theory, side: int, **keywords) -> FlowProblem:
    """A tiny flow: splines for complex φ⁴, else the plain network."""
    if isinstance(theory, Phi4Theory) and theory.lam > 0.0:
        flow = spline_flow(theory, side, width=8, bins=6, ranges=keywords.get("ranges"))
    else:
        flow = real_nvp_flow(theory, side, couplings=4, width=8)
    return FlowProblem(flow, theory, seeds=1, seed=3, **keywords)


def start_of(problem: FlowProblem, size: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    start = problem.initial_parameters()
    return {k: v + size * rng.standard_normal(v.shape) for k, v in start.items()}


def evaluate(
    problem: FlowProblem,
    parameters: Mapping[str, np.ndarray],
    *,
    samples: int,
    seed: int,
    chunk: int = 256,
) -> list[Evaluation]:
    """Weights of new samples in double precision, one evaluation a seed; whole chunks of them."""
    weights = {name: tf.constant(value, tf.float64) for name, value in parameters.items()}
    seeds = next(iter(weights.values())).shape[0]
    at = problem.theory.couplings(seeds, chunk, tf.float64)
    weigh = compile_weigher(problem, seeds, chunk)
    root = derive_seed(seed, "evaluate")
    parts = [
        weigh(weights, at, tf.constant([root, index], tf.int32))[1].numpy()
        for index in range(-(-samples // chunk))
    ]
    return [Evaluation(row) for row in np.concatenate(parts, axis=1)]


@pytest.mark.parametrize("couplings", [(1.0, 1.0, 1.0), (0.28, -199.44, 25.0)])
def test_an_untrained_flow_gives_the_exact_small_torus_by_its_weights(couplings) -> None:
    action = ComplexPhi4(*couplings)
    problem = problem_of(Phi4Theory.of(action), 2)
    (found,) = evaluate(problem, start_of(problem), samples=65_536, chunk=8192, seed=1)
    exact = small_torus(action).log_partition
    assert not found.underpowered and 0.0 < found.error < 0.03
    assert found.log_partition == pytest.approx(exact, abs=4.0 * found.error)
    divergence, error = found.divergence(exact)
    assert divergence > 10.0 * error > 0.0


@pytest.mark.parametrize("kind", ["spline", "plain", "ising"])
def test_a_disturbed_flow_still_gives_the_exact_partition_function(kind: str) -> None:
    # Any error of the log-density would show as a wrong ln Z.
    action = ComplexPhi4(0.5, 1.0, 1.0)
    theory, exact = Phi4Theory.of(action), small_torus(action).log_partition
    problem = problem_of(theory, 2)
    if kind == "plain":
        problem = FlowProblem(real_nvp_flow(theory, 2, couplings=4, width=8), theory, 1, 3)
    if kind == "ising":
        # Hot enough for K < 1: only a prior wider than the theory has weights of finite variance.
        theory = IsingTheory(12.0)
        exact = dual_log_partition(IsingDualField(12.0), 2)
        problem = problem_of(theory, 2, symmetrised=True)
    parameters = start_of(problem, 0.03)
    (found,) = evaluate(problem, parameters, samples=65_536, chunk=8192, seed=2)
    assert found.effective_fraction > 0.03
    assert found.log_partition == pytest.approx(exact, abs=5.0 * found.error)
    assert found.error < 0.03


def test_free_field_by_the_weights() -> None:
    action = FreeField(1.0, 4.0)
    problem = problem_of(Phi4Theory.of(action), 4)
    (found,) = evaluate(problem, start_of(problem), samples=65_536, chunk=8192, seed=4)
    exact = free_log_partition(action, 4)
    assert found.log_partition == pytest.approx(exact, abs=4.0 * found.error)
    assert found.error < 0.02


def test_both_estimators_agree_on_the_gradient() -> None:
    theory = Phi4Theory.of(ComplexPhi4(0.5, 1.0, 1.0))
    problem = problem_of(theory, 2, dtype="float64", estimator="path")
    plain = problem_of(theory, 2, dtype="float64", estimator="reparameterised")
    parameters = {k: tf.constant(v) for k, v in start_of(problem, 0.05).items()}
    name = "0/disentangler/out/bias"

    @tf.function(autograph=False)
    def slope(problem, seed):
        batch = problem.draw(seed, 2048, 0)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss, reported = problem.objective(parameters, batch)
        return tape.gradient(loss, parameters)[name], reported

    seeds = [tf.constant([5, i]) for i in range(8)]
    slopes = {}
    for kind in (problem, plain):
        rows = [slope(kind, seed) for seed in seeds]
        slopes[kind.estimator] = np.stack([row[0].numpy().ravel() for row in rows])
    values = [slope(kind, seeds[0])[1].numpy() for kind in (problem, plain)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-9)
    means = {kind: rows.mean(axis=0) for kind, rows in slopes.items()}
    spread = np.sqrt(sum(rows.var(axis=0, ddof=1) / len(rows) for rows in slopes.values()))
    assert np.all(np.abs(means["path"] - means["reparameterised"]) < 6.0 * spread + 1e-9)
    assert np.abs(means["path"]).max() > 5.0 * spread.max()


def test_path_gradient_has_no_noise_where_the_flow_is_exact() -> None:
    # At hopping zero the identity is the theory.
    theory = Phi4Theory(0.0, -199.44, 25.0)
    noise = {}
    for estimator in ("path", "reparameterised"):
        problem = problem_of(theory, 2, dtype="float64", estimator=estimator)
        parameters = {k: tf.constant(v) for k, v in start_of(problem).items()}
        batch = problem.draw(tf.constant([1, 2]), 16, 0)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss, _ = problem.objective(parameters, batch)
        slopes = tape.gradient(loss, parameters, unconnected_gradients="zero")
        noise[estimator] = max(np.abs(slope).max() for slope in slopes.values())
    assert noise["path"] < 1e-7 < 1e-3 < noise["reparameterised"]


def test_hopping_rises_over_the_ramp_and_stays() -> None:
    theory = Phi4Theory.of(ComplexPhi4.recalled(0.28))
    stage = FlowStage(update="adam", steps=100, batch=4, ramp=0.5)
    problem = problem_of(theory, 2).for_stage(stage)
    rising = [float(problem.draw(tf.constant([1, i]), 4, 0)[1][0, 0, 0]) for i in (0, 25, 50, 99)]
    np.testing.assert_allclose(rising, [0.0, 0.14, 0.28, 0.28], atol=1e-6)
    couplings = problem_of(theory, 2).draw(tf.constant([1, 0]), 4, 0)[1]
    np.testing.assert_allclose(couplings[0, 0], [theory.t, theory.mu], rtol=1e-6)


def test_conditional_couplings_are_drawn_in_groups_within_their_ranges() -> None:
    theory = Phi4Theory.of(ComplexPhi4.recalled(0.28))
    ranges = Ranges((0.1, 0.5), (-250.0, -150.0))
    problem = problem_of(theory, 2, ranges=ranges, groups=4)
    couplings = problem.draw(tf.constant([1, 2]), 32, 0)[1].numpy()[0]
    assert len(np.unique(couplings[:, 0])) == 4
    assert couplings[:, 0].min() >= 0.1 and couplings[:, 0].max() <= 0.5
    assert couplings[:, 1].min() >= -250.0 and couplings[:, 1].max() <= -150.0
    with pytest.raises(ValueError, match="groups"):
        problem.draw(tf.constant([1, 2]), 30, 0)
    with pytest.raises(SettingsError, match="not thin"):
        problem_of(theory, 2, ranges=Ranges((0.1, 0.5), (-250.0, 10.0)))


def test_training_brings_the_flow_closer(tmp_path) -> None:
    action = ComplexPhi4(1.0, 1.0, 1.0)
    theory = Phi4Theory.of(action)
    flow = spline_flow(theory, 2, width=8, bins=4)
    problem = FlowProblem(flow, theory, 1, 3, estimator="reparameterised")
    stage = FlowStage(update="adam", steps=60, batch=64, rate=1e-2, clip_norm=5.0)
    trained = train(problem, [stage], seed=1, title="test", checkpoint=tmp_path / "c")
    assert {"log_weight_variance", "effective_fraction"} <= set(trained.history.columns)
    exact = small_torus(action).log_partition
    before, after = (
        evaluate(problem, parameters, samples=2048, chunk=2048, seed=4)[0]
        for parameters in (start_of(problem), trained.parameters)
    )
    assert after.divergence(exact)[0] < 0.5 * before.divergence(exact)[0]
    assert after.effective_fraction > before.effective_fraction


def test_of_several_starts_the_best_goes_on(tmp_path) -> None:
    theory = Phi4Theory.of(ComplexPhi4(1.0, 1.0, 1.0))
    problem = FlowProblem(spline_flow(theory, 2, width=8, bins=4), theory, 2, 3)
    told = {"update": "adam", "batch": 64, "rate": 1e-2, "clip_norm": 5.0}
    several = FlowStage(steps=20, candidates=3, **told)
    alone = train(problem, [several], seed=1, title="all", checkpoint=tmp_path / "all")
    assert len(next(iter(alone.parameters.values()))) == 6
    # A step of no size leaves those that were chosen as they are.
    resting = FlowStage(steps=1, **told | {"rate": 1e-12})
    best = train(problem, [several, resting], seed=1, title="best", checkpoint=tmp_path / "best")
    values = [
        evaluate(problem, one, samples=4096, seed=4) for one in (alone.parameters, best.parameters)
    ]
    losses = [[each.divergence(0.0)[0] for each in found] for found in values]
    for seed in range(2):
        candidates = losses[0][3 * seed : 3 * seed + 3]
        assert losses[1][seed] == pytest.approx(min(candidates), abs=0.1)
        assert max(candidates) > min(candidates) + 1e-3


def test_too_few_effective_samples_are_told() -> None:
    theory = Phi4Theory.of(ComplexPhi4.recalled(0.4))
    problem = problem_of(theory, 4)
    (found,) = evaluate(problem, start_of(problem), samples=512, seed=1)
    assert found.underpowered
    assert not Evaluation(np.zeros(20)).underpowered


def test_parameters_with_nan_are_refused() -> None:
    problem = problem_of(Phi4Theory.of(ComplexPhi4(1.0, 1.0, 1.0)), 2)
    bad = {k: np.full_like(v, np.nan) for k, v in start_of(problem).items()}
    with pytest.raises(ArtifactError, match="not finite"):
        problem.flow.check_parameters(bad)


def test_evaluation_of_known_weights() -> None:
    rng = np.random.default_rng(0)
    found = Evaluation(3.0 + 0.5 * rng.standard_normal(200_000))
    # A Gaussian ln w of variance σ²: ln Z = mean + σ²/2, ESS = exp(−σ²).
    assert found.log_partition == pytest.approx(3.125, abs=5e-3)
    assert found.effective_fraction == pytest.approx(np.exp(-0.25), abs=0.01)
    assert found.error == pytest.approx(np.sqrt(np.expm1(0.25) / 200_000), rel=0.05)
    assert found.divergence(3.125)[0] == pytest.approx(0.125, abs=5e-3)
    assert found.variance == pytest.approx(0.25, rel=0.02)


@given(st.integers(0, 2**31), st.floats(-1e3, 1e3), st.floats(0.1, 6.0))
def test_a_constant_in_the_action_moves_the_partition_function_alone(
    seed: int, constant: float, spread: float
) -> None:
    log_weights = spread * np.random.default_rng(seed).standard_normal(200)
    found, moved = Evaluation(log_weights), Evaluation(log_weights + constant)
    assert moved.log_partition == pytest.approx(found.log_partition + constant, abs=1e-9)
    assert moved.effective_fraction == pytest.approx(found.effective_fraction, rel=1e-9)
    assert moved.error == pytest.approx(found.error, rel=1e-9)
    assert moved.divergence()[0] == pytest.approx(found.divergence()[0], abs=1e-9)
    assert 1.0 <= found.effective_fraction * found.samples * (1.0 + 1e-12) <= 201.0


LOGARITHMS = st.floats(-700.0, 700.0)


@given(LOGARITHMS, LOGARITHMS)
def test_symmetrised_density_does_not_know_which_is_which(one: float, other: float) -> None:
    given_values = [tf.constant([value], tf.float64) for value in (one, other)]
    there, back = symmetrised(*given_values), symmetrised(*given_values[::-1])
    np.testing.assert_allclose(there, back, rtol=0, atol=1e-12)
    np.testing.assert_allclose(there, np.logaddexp(one, other) - np.log(2.0), rtol=1e-12)


def test_symmetrised_density_is_the_mean() -> None:
    one, other = np.array([0.0, -300.0, 5.0]), np.array([-1.0, -700.0, 5.0])
    expected = np.logaddexp(one, other) - np.log(2.0)
    np.testing.assert_allclose(symmetrised(tf.constant(one), tf.constant(other)), expected)


def test_estimators_have_names() -> None:
    with pytest.raises(ValueError, match="estimator"):
        problem_of(IsingTheory(2.3), 2, estimator="another")
