"""What enters and what leaves the translator: coordinates of the lead, readouts of the density."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from translators import LINEAR, WAVENUMBER, random_weights

from emergence.introspection import schrodinger
from emergence.introspection.translator import lead_coordinates, read_density


class TestLeadCoordinates:
    @given(
        rho=st.floats(0, 10), s=st.floats(-10, 10), t=st.floats(0, 10), distance=st.floats(0.1, 2)
    )
    def test_are_value_slope_and_curvature_of_any_parabola(self, rho, s, t, distance):
        place = -distance * np.array([2.0, 1.0, 0.0])
        lead = rho + 2.0 * s * place + t * place**2
        ours = lead_coordinates(lead, distance, WAVENUMBER)
        np.testing.assert_allclose(ours, [rho, s / 2.0, t / 4.0], atol=1e-11 / distance**2)

    @pytest.mark.parametrize("kind", schrodinger.STARTS)
    def test_are_the_bilinears_of_the_start(self, make_world, kind):
        world = make_world(start=kind)
        np.testing.assert_allclose(world.lead, world.bilinears[:, 0], atol=1e-12)

    def test_are_a_linear_map_that_loses_nothing(self):
        matrix = lead_coordinates(np.eye(3), 0.8, WAVENUMBER).T
        assert np.linalg.matrix_rank(matrix) == 3
        lead = np.random.default_rng(0).uniform(size=(4, 5, 3))
        np.testing.assert_allclose(lead_coordinates(lead, 0.8, WAVENUMBER), lead @ matrix.T)


class TestReadouts:
    hidden = np.random.default_rng(5).standard_normal((2, 3, 4, 3))

    def read(self, shape, parameters):
        weights = {name: tf.constant(value) for name, value in parameters.items()}
        return read_density(shape, weights, tf.constant(self.hidden)).numpy()

    def test_linear(self):
        parameters = random_weights(LINEAR)
        expected = [self.hidden[seed] @ parameters["readout"][seed] for seed in range(2)]
        np.testing.assert_allclose(self.read(LINEAR, parameters), expected, rtol=1e-12)

    def test_quadratic(self):
        shape = dataclasses.replace(LINEAR, readout="quadratic")
        parameters = random_weights(shape)
        ours = self.read(shape, parameters)
        h = self.hidden[1, 2, 3]
        assert ours[1, 2, 3] == pytest.approx(h @ parameters["readout"][1] @ h)

    def test_general(self):
        shape = dataclasses.replace(LINEAR, readout="general")
        parameters = random_weights(shape)
        ours = self.read(shape, parameters)
        h = self.hidden[1, 2, 3]
        inner = np.tanh(h @ parameters["readout_in"][1] + parameters["readout_bias"][1])
        expected = inner @ parameters["readout_out"][1] + h @ parameters["readout_linear"][1]
        assert ours[1, 2, 3] == pytest.approx(expected)
