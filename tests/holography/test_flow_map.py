"""Flows as maps of NumPy arrays."""

import numpy as np
import pytest
import tensorflow as tf

from emergence import evaluating
from emergence.errors import ArtifactError
from emergence.holography.densities import Phi4Theory
from emergence.holography.flow_map import FlowMap, as_complex, as_reals
from emergence.holography.hierarchy import Ranges, real_nvp_flow, spline_flow
from emergence.settings import EvaluationSettings

THEORY = Phi4Theory(0.28, -199.44, 25.0)
POINT = (0.28, -199.44)
SMALL = {"width": 6, "depth": 1}


def parameters(flow, noise: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    start = flow.initial_parameters(rng, 2)
    return {name: v + noise * rng.standard_normal(v.shape) for name, v in start.items()}


@pytest.fixture(scope="module")
def bent() -> FlowMap:
    flow = spline_flow(THEORY, 4, bins=4, **SMALL)
    return FlowMap(flow, parameters(flow, 0.1), POINT, 8)


@pytest.fixture(scope="module")
def drawn(bent: FlowMap) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of latents and their fields; no whole number of chunks."""
    coordinates = bent.sample(3, 11)
    return coordinates, bent.generate(coordinates)


def test_there_and_back(bent: FlowMap, drawn) -> None:
    coordinates, field = drawn
    assert field.shape == (11, 4, 4)
    latents, log_density = bent.invert(field)
    np.testing.assert_allclose(bent.variables(latents), bent.variables(coordinates), atol=1e-9)
    again, density_again = bent.invert(field[5:])
    np.testing.assert_allclose(again, latents[5:], atol=1e-12)
    np.testing.assert_allclose(density_again, log_density[5:], rtol=1e-12)


@pytest.mark.parametrize(
    ("choice", "precise"), [({"precision": "float32"}, 1e-4), ({"compiled": False}, 1e-11)]
)
def test_evaluated_otherwise_it_is_the_same_map(bent: FlowMap, drawn, choice, precise) -> None:
    coordinates, field = drawn
    evaluating.want(EvaluationSettings(**choice))
    try:
        other = FlowMap(bent.flow, parameters(bent.flow, 0.1), POINT, 8)
        found = [other.generate(coordinates), other.invert(field)[1], *other.first_step(field)]
        found += [other.variables(coordinates), other.coarse_field(coordinates, 1)]
    finally:
        evaluating.want(EvaluationSettings())
    here = [field, bent.invert(field)[1], *bent.first_step(field)]
    here += [bent.variables(coordinates), bent.coarse_field(coordinates, 1)]
    for one, two in zip(found, here, strict=True):
        assert one.dtype == two.dtype, "Statistics are in double precision always."
        np.testing.assert_allclose(one, two, rtol=precise, atol=precise)
    differ = max(np.abs(one - two).max() for one, two in zip(found, here, strict=True))
    assert (differ > 1e-8) == ("precision" in choice), "It was evaluated in that precision."


def test_a_rotated_field_has_rotated_latents(bent: FlowMap, drawn) -> None:
    _, field = drawn
    turn = np.exp(0.7j)
    plain, turned = (bent.variables(bent.invert(one)[0]) for one in (field, turn * field))
    np.testing.assert_allclose(turned, turn * plain, atol=1e-9)
    assert bent.circular


def test_levels_fit_together(bent: FlowMap, drawn) -> None:
    coordinates, field = drawn
    np.testing.assert_allclose(bent.coarse_field(coordinates, 0), field, atol=1e-9)
    turned, coarse = bent.first_step(field)
    np.testing.assert_allclose(bent.coarse_field(coordinates, 1), coarse, atol=1e-9)
    assert np.abs(turned - field).max() > 0.1


@pytest.mark.parametrize("kind", ["spline", "real_nvp"])
def test_untrained_latents_are_the_sites(kind: str) -> None:
    make = {"spline": spline_flow, "real_nvp": real_nvp_flow}[kind]
    options = {"bins": 4} if kind == "spline" else {"couplings": 2}
    flow = make(THEORY, 4, **options, **SMALL)
    map_ = FlowMap(flow, parameters(flow, 0.0), POINT, 8)
    rng = np.random.default_rng(2)
    field = 2.0 * np.exp(2j * np.pi * rng.random((3, 4, 4))) * (1.0 + 0.01 * rng.random((3, 4, 4)))
    latents, _ = map_.invert(field)
    np.testing.assert_allclose(map_.variables(latents), field.reshape(3, 16), atol=1e-9)
    turned, coarse = map_.first_step(field)
    np.testing.assert_allclose(turned, field, atol=1e-9)
    np.testing.assert_allclose(coarse, field[:, ::2, ::2], atol=1e-9)
    assert map_.circular == (kind == "spline")


def test_a_conditional_flow_is_told_its_point() -> None:
    ranges = Ranges(t=(0.1, 0.5), mu=(-199.8, -199.0))
    flow = spline_flow(THEORY, 4, bins=4, ranges=ranges, **SMALL)
    weights = parameters(flow, 0.1)
    fields = []
    for t in (0.12, 0.4):
        map_ = FlowMap(flow, weights, (t, -200.0 + 2.0 * t), 4)
        coordinates = map_.sample(3, 2)
        field = map_.generate(coordinates)
        fields.append(field)
        np.testing.assert_allclose(map_.coarse_field(coordinates, 0), field, atol=1e-9)
    assert np.abs(fields[0] - fields[1]).max() > 0.01


def test_density_is_that_of_the_flow(bent: FlowMap, drawn) -> None:
    _, field = drawn
    weights = {
        name: tf.constant(value[:1], tf.float64)
        for name, value in parameters(bent.flow, 0.1).items()
    }
    couplings = tf.broadcast_to(tf.constant(POINT, tf.float64), [1, 11, 2])
    expected = bent.flow.invert(weights, tf.constant(as_reals(field)[None]), couplings)[1]
    np.testing.assert_allclose(bent.invert(field)[1], expected.numpy()[0], rtol=1e-10)


def test_reals_and_complex_numbers() -> None:
    values = np.array([1.0 + 2.0j, -3.0j])
    np.testing.assert_array_equal(as_complex(as_reals(values)), values)


def test_weights_of_another_flow_are_refused(bent: FlowMap) -> None:
    other = spline_flow(THEORY, 2, bins=4, **SMALL)
    with pytest.raises(ArtifactError, match="another flow"):
        FlowMap(bent.flow, parameters(other, 0.0), POINT, 8)
