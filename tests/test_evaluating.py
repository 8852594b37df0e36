"""Trained networks evaluated as the settings say: in which precision, compiled or not."""

import pytest
import tensorflow as tf

from emergence import evaluating
from emergence.settings import EvaluationSettings


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
