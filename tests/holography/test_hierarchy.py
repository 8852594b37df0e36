"""The hierarchical flow: bijection, density, equivariance, layout of the bulk, transfer."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.errors import ArtifactError, SettingsError
from emergence.holography.actions import ComplexPhi4
from emergence.holography.densities import IsingTheory, Phi4Theory
from emergence.holography.hierarchy import Ranges, real_nvp_flow, spline_flow, with_prior
from emergence.holography.positions import bulk_positions
from emergence.holography.spline import PolarSpline

THEORY = Phi4Theory.of(ComplexPhi4.recalled(0.28))
RANGES = Ranges((0.1, 0.5), (-250.0, -150.0))


def build(kind: str, side: int):
    if kind == "spline":
        return spline_flow(THEORY, side, width=8, bins=4)
    if kind == "conditional":
        return spline_flow(THEORY, side, width=8, bins=4, ranges=RANGES)
    if kind.endswith("with prior"):
        return with_prior(build(kind.removesuffix(" with prior"), side), 1)
    if kind == "ising":
        return real_nvp_flow(IsingTheory(2.3), side, couplings=4, width=6)
    return real_nvp_flow(THEORY, side, couplings=4, width=6)


few = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, 2**31 - 2)


@cache
def traced(kind: str, side: int):
    """A flow, and both of its directions as graphs, so that examples vary inputs and trace nothing."""
    flow = build(kind, side)
    return flow, *(tf.function(run, autograph=False) for run in (flow.generate, flow.invert))


def perturbed(
    flow, seeds: int = 1, dtype=tf.float64, size: float = 0.1, seed: int = 0
) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    start = flow.initial_parameters(rng, seeds)
    return {
        k: tf.constant(v + size * rng.standard_normal(v.shape), dtype) for k, v in start.items()
    }


def draw(
    flow, seeds: int, batch: int, dtype=tf.float64, seed: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
    latents = flow.chart.sample(tf.constant([seed, 2]), [seeds, batch, flow.side, flow.side], dtype)
    return latents, THEORY.couplings(seeds, batch, dtype)


def as_points(values: tf.Tensor, polar: bool) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return np.stack([values[..., 0] + 0j, np.exp(1j * values[..., 1])], -1) if polar else values


KINDS = ["spline", "conditional", "real_nvp", "ising", "spline with prior", "real_nvp with prior"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float64, 1e-10), (tf.float32, 1e-5)])
def test_field_to_latents_and_back(kind: str, dtype, tolerance: float) -> None:
    flow = build(kind, 4)
    parameters = perturbed(flow, 2, dtype, 0.02)
    latents, couplings = draw(flow, 2, 4, dtype)
    field, log_density = flow.generate(parameters, latents, couplings)
    found, log_density_found = flow.invert(parameters, field, couplings)
    again, _ = flow.generate(parameters, found, couplings)
    np.testing.assert_allclose(again, field, rtol=0, atol=tolerance)
    # A sum over sites and layers of what may be a hundred.
    np.testing.assert_allclose(log_density_found, log_density, rtol=0, atol=300.0 * tolerance)
    if dtype == tf.float64:
        polar = kind.startswith(("spline", "conditional"))
        np.testing.assert_allclose(
            as_points(found, polar), as_points(latents, polar), rtol=0, atol=tolerance
        )


@pytest.mark.parametrize("kind", KINDS)
@few
@given(seed=SEEDS)
def test_density_is_that_of_the_jacobian_of_the_whole_flow(kind: str, seed: int) -> None:
    """Of both levels of 4 × 4, whose disentanglers reach across the boundary."""
    flow, generate, _ = traced(kind, 4)
    parameters = perturbed(flow, seed=seed)
    latents, couplings = draw(flow, 1, 1, seed=seed)
    # Every sample of one batch has another latent moved; the last is where they start from.
    step, size = 1e-6, latents.numpy().size
    moves = step * np.eye(size).reshape(1, size, *latents.shape[2:])
    batch = tf.concat([latents + moves, latents - moves, latents], axis=1)
    field, log_density = generate(parameters, batch, tf.repeat(couplings, 2 * size + 1, axis=1))
    change = (field[0, :size] - field[0, size:-1]).numpy().reshape(size, size)
    numeric = np.linalg.slogdet(change / (2.0 * step))[1]
    expected = flow.chart.log_prior(latents).numpy()[0, 0] - numeric
    assert log_density.numpy()[0, -1] == pytest.approx(expected, abs=1e-4)


def test_splines_of_a_level_in_one_loop_are_those_one_after_the_other(monkeypatch) -> None:
    flow = build("conditional", 4)
    parameters = perturbed(flow)
    latents, couplings = draw(flow, 1, 3)

    def results() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            field, log_density = flow.generate(parameters, latents, couplings)
            total = tf.reduce_sum(field**3) + tf.reduce_sum(log_density)
        slopes = tape.gradient(total, parameters)
        back = flow.invert(parameters, field, couplings)
        return [field, log_density, *back, *(slopes[name] for name in sorted(slopes))]

    joined = results()
    monkeypatch.setattr(PolarSpline, "joins", lambda *_: False)
    for one, other in zip(joined, results(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    assert not flow.decimator.joins(build("spline", 4).chart)


def rotation(angle: float) -> tf.Tensor:
    """Of (Re φ, Im φ) in rows."""
    return tf.constant([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    ("kind", "side"),
    [("spline", 4), ("conditional", 4), ("spline", 8), ("spline with prior", 4)],
)
@few
@given(seed=SEEDS, angle=st.floats(-np.pi, np.pi))
def test_turning_all_latents_turns_the_field_and_keeps_its_density(
    kind: str, side: int, seed: int, angle: float
) -> None:
    flow, generate, invert = traced(kind, side)
    parameters = perturbed(flow, seed=seed, size=0.05)
    latents, couplings = draw(flow, 1, 3, seed=seed)
    field, log_density = generate(parameters, latents, couplings)
    turned, log_density_turned = generate(
        parameters, latents + tf.constant([0.0, angle], tf.float64), couplings
    )
    np.testing.assert_allclose(turned, field @ rotation(angle), rtol=0, atol=1e-8)
    np.testing.assert_allclose(log_density_turned, log_density, rtol=0, atol=1e-7)
    back, log_density_back = invert(parameters, field @ rotation(angle), couplings)
    np.testing.assert_allclose(log_density_back, log_density, rtol=0, atol=1e-7)
    phases = np.exp(1j * (back - latents)[..., 1].numpy())
    np.testing.assert_allclose(phases, np.exp(1j * angle), rtol=0, atol=1e-8)


def test_the_plain_network_has_no_such_symmetry() -> None:
    plain, generate, invert = traced("real_nvp", 4)
    parameters = perturbed(plain)
    latents, couplings = draw(plain, 1, 3)
    field, log_density = generate(parameters, latents, couplings)
    _, turned = invert(parameters, field @ rotation(2.0), couplings)
    assert np.abs(turned - log_density).max() > 1e-2


@pytest.mark.parametrize(
    ("kind", "side"), [("spline", 4), ("spline", 8), ("real_nvp", 4), ("real_nvp", 8), ("ising", 8)]
)
@few
@given(seed=SEEDS, data=st.data())
def test_moving_the_latents_by_blocks_moves_the_field(
    kind: str, side: int, seed: int, data: st.DataObject
) -> None:
    """By blocks of the coarsest level that is not the identity; the levels above do not care."""
    flow, generate, _ = traced(kind, side)
    bent = data.draw(st.integers(1, flow.levels - 1), label="levels that are not the identity")
    shift = [2**bent * data.draw(st.integers(0, side // 2**bent - 1)) for _ in range(2)]
    parameters = perturbed(flow, seed=seed, size=0.05)
    still = flow.initial_parameters(np.random.default_rng(0), 1)
    parameters |= {k: tf.constant(v) for k, v in still.items() if int(k.split("/")[0]) >= bent}
    latents, couplings = draw(flow, 1, 2, seed=seed)
    field, log_density = generate(parameters, latents, couplings)
    shifted, log_density_shifted = generate(
        parameters, tf.roll(latents, shift, axis=[2, 3]), couplings
    )
    np.testing.assert_allclose(shifted, tf.roll(field, shift, axis=[2, 3]), rtol=0, atol=1e-9)
    np.testing.assert_allclose(log_density_shifted, log_density, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["spline", "real_nvp"])
def test_less_than_a_block_does_not(kind: str) -> None:
    flow, generate, _ = traced(kind, 4)
    parameters = perturbed(flow)
    latents, couplings = draw(flow, 1, 2)
    field, _ = generate(parameters, latents, couplings)
    shifted, _ = generate(parameters, tf.roll(latents, [1, 0], axis=[2, 3]), couplings)
    assert np.abs(shifted - tf.roll(field, [1, 0], axis=[2, 3])).max() > 1e-2


def test_levels_reach_their_scale_only() -> None:
    flow = build("real_nvp", 8)
    parameters = perturbed(flow)
    latents, couplings = draw(flow, 1, 1)
    field, _ = flow.generate(parameters, latents, couplings)
    positions = bulk_positions(8)
    areas = []
    for level in range(3):
        place = tuple(np.argwhere(positions["level"] == level)[0])
        moved = latents.numpy()
        moved[(0, 0, *place)] += 0.5
        changed, _ = flow.generate(parameters, tf.constant(moved), couplings)
        areas.append(int(np.sum(np.abs(changed - field).max(axis=-1) > 1e-12)))
    assert areas[0] <= 16 < areas[1] and areas[2] == 64


def test_couplings_steer_a_conditional_flow_sample_by_sample() -> None:
    flow = build("conditional", 4)
    assert flow.contexts == 2
    parameters = perturbed(flow)
    latents, _ = draw(flow, 1, 1)
    latents = tf.repeat(latents, 2, axis=1)
    couplings = tf.constant([[[0.2, -200.0], [0.4, -200.0]]], tf.float64)
    both, log_density = flow.generate(parameters, latents, couplings)
    assert np.abs(both[0, 0] - both[0, 1]).max() > 1e-3
    for index in range(2):
        one, alone = flow.generate(parameters, latents[:, :1], couplings[:, index : index + 1])
        np.testing.assert_allclose(one[0, 0], both[0, index], atol=1e-12)
        assert float(alone[0, 0]) == pytest.approx(float(log_density[0, index]), abs=1e-9)


def test_weights_that_do_not_fit_are_told_in_a_sentence() -> None:
    flow = build("spline", 4)
    good = flow.initial_parameters(np.random.default_rng(0), 1)
    flow.check_parameters(good)
    with pytest.raises(ArtifactError, match="another flow"):
        build("real_nvp", 4).check_parameters(good)
    with pytest.raises(ArtifactError, match="another flow"):
        spline_flow(THEORY, 4, width=9, bins=4).check_parameters(good)
    bad = good | {"0/decimator/in/bias": np.full_like(good["0/decimator/in/bias"], np.nan)}
    with pytest.raises(ArtifactError, match="not finite"):
        flow.check_parameters(bad)


def test_a_side_that_blocks_cannot_halve_is_refused() -> None:
    with pytest.raises(SettingsError, match="power of two"):
        build("spline", 12)
