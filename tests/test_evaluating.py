"""Trained networks evaluated as the settings say: in which precision, compiled or not."""

import numpy as np
import pytest
import tensorflow as tf

from emergence import evaluating
from emergence.holography import flow, growth
from emergence.holography.arms import problem_of
from emergence.introspection import distiller, translator
from emergence.retraining import arms, evaluation
from emergence.settings import EvaluationSettings, parse


@pytest.fixture
def want():
    yield lambda **choice: evaluating.want(EvaluationSettings(**choice))
    evaluating.want(EvaluationSettings())


def test_in_double_precision_and_compiled_by_default():
    assert evaluating.dtype() == tf.float64
    assert EvaluationSettings().compiled


def test_in_single_precision_where_it_is_asked_for(want):
    want(precision="float32")
    assert evaluating.dtype() == tf.float32


def test_compiled_or_not_the_function_is_the_same(want):
    inside = []

    @evaluating.compiled
    def square(x):
        """Of a number."""
        inside.append(tf.executing_eagerly())
        return x * x

    assert square(tf.constant(3.0)).numpy() == 9.0
    want(compiled=False)
    assert square(tf.constant(3.0)).numpy() == 9.0
    assert inside == [False, False], "A graph of each kind, made once."
    assert square.__doc__ == "Of a number."


def test_what_is_not_compiled_may_do_what_xla_cannot(want):
    @evaluating.compiled
    def words(x):
        return tf.strings.as_string(x)

    with pytest.raises(tf.errors.OpError):
        words(tf.constant(3))
    want(compiled=False)
    assert words(tf.constant(3)).numpy() == b"3"


CHOICES = {"single": {"precision": "float32"}, "not compiled": {"compiled": False}}


@pytest.mark.parametrize("name", CHOICES)
def test_a_translator_and_a_distiller_come_to_the_same(want, name):
    rng = np.random.default_rng(1)
    shape = translator.Shape(hidden=3, degree=1, readout="linear", learnt_start=False, unit=4.0)
    smaller = distiller.Shape(3, 2, 1, "quadratic", "linear", 4.0)
    lead, potential = rng.uniform(size=(1, 4, 3)), rng.uniform(size=(4, 6))

    def evaluated():
        density, hidden = translator.evaluate(
            shape, translator.initial_parameters(shape, 2, 0), lead, potential
        )
        parameters = distiller.initial_parameters(smaller, 2, 0)
        return [density, *distiller.evaluate(smaller, parameters, hidden, potential)]

    before = evaluated()
    want(**CHOICES[name])
    after = evaluated()
    single = name == "single"
    for one, two in zip(before, after, strict=True):
        assert two.dtype == (np.float32 if single else np.float64)
        np.testing.assert_allclose(two, one, rtol=1e-4 if single else 1e-11)


@pytest.mark.parametrize("name", CHOICES)
def test_a_wave_function_comes_to_the_same_within_its_errors(want, name, build_settings):
    settings = parse(build_settings(), "settings of a test")
    arm = settings.retraining.chains["ising"]
    parameters = arms.state_of(arm, 4).initial_parameters(1, 3)

    def evaluated():
        return evaluation.evaluate(settings, "ising", 4, parameters, "untrained", False)

    before = evaluated()
    want(**CHOICES[name])
    after = evaluated()
    error = np.hypot(before["error"], after["error"])
    assert np.all(np.abs(after["energy"] - before["energy"]) < 5.0 * error)


@pytest.mark.parametrize("name", CHOICES)
def test_samples_of_a_flow_come_to_the_same_within_their_errors(want, name, build_settings):
    content = build_settings()
    content["holography"]["flows"]["disc"] |= {"depth": 1, "bins": 4}
    settings = parse(content, "settings of a test")
    problem = problem_of(settings, "disc", 2)

    def evaluated():
        weigh = flow.compile_weigher(problem, 1, 8)
        draws = growth.Draws(settings, problem, weigh, [(1.0, 1.0)], 64)
        found = growth.evaluate(draws, problem.initial_parameters(), "test")["log_weights"]
        return found.mean(), found.std() / 8.0

    before, error = evaluated()
    want(**CHOICES[name])
    after, other = evaluated()
    assert abs(after - before) < 5.0 * np.hypot(error, other) + 1e-5
