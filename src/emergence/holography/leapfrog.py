"""Leapfrog integration of Hamilton's equations: reversible, and it keeps volumes of phase space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def leapfrog(
    value_and_gradient: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    state: tf.Tensor,
    momentum: tf.Tensor,
    gradient: tf.Tensor,
    step: tf.Tensor,
    count: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """``count`` ≥ 1 leapfrog steps of size ``step``: (state, momentum, ln π, gradient) at the end.

    Args:
        value_and_gradient: state → (ln π ``[chains]``, its gradient).
        gradient: at the start.
    """

    def body(index: tf.Tensor, q: tf.Tensor, p: tf.Tensor, _: tf.Tensor, g: tf.Tensor) -> Any:
        p = p + 0.5 * step * g
        q = q + step * p
        value, g = value_and_gradient(q)
        return index + 1, q, p + 0.5 * step * g, value, g

    start = (tf.constant(0), state, momentum, tf.zeros(state.shape[:1], state.dtype), gradient)
    _, *end = tf.while_loop(lambda index, *_: index < count, body, start, maximum_iterations=count)
    return tuple(end)
