"""Increasing rational-quadratic splines of the circle, a row of knots for each angle.

Gregory & Delbourgo, IMA J. Numer. Anal. 2, 123 (1982); Durkan et al., arXiv:1906.04032; circular:
Rezende et al., arXiv:2002.02428.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from emergence.holography.bijectors import held

LEAST_BIN = 1e-3
"""Smallest share of the circle of a bin."""
LEAST_SLOPE = 1e-3


def knots(raw: tf.Tensor, bins: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Knots of a circular spline; zeros give the identity.

    Args:
        raw: unbounded, ``[seeds, 3·bins, rows]``.

    Returns:
        Widths and heights ``[seeds, 2, bins, rows]``, each summing to 2π, and slopes
        ``[seeds, bins, rows]``, that at π being that at −π.
    """
    seeds, _, rows = raw.shape
    share = 2.0 * np.pi * (1.0 - bins * LEAST_BIN)
    size = tf.nn.softmax(tf.reshape(raw[:, : 2 * bins], [seeds, 2, bins, rows]), axis=2)
    unit = float(np.log(np.expm1(1.0 - LEAST_SLOPE)))
    slopes = LEAST_SLOPE + tf.nn.softplus(raw[:, 2 * bins :] + unit)
    return 2.0 * np.pi * LEAST_BIN + share * size, slopes


def circular_spline(
    angle: tf.Tensor, sizes: tf.Tensor, slopes: tf.Tensor, *, inverse: bool = False
) -> list[tf.Tensor]:
    """The increasing map of [−π, π] through the knots, and ln of its slope.

    Args:
        angle: ``[seeds, rows]`` within [−π, π].
        sizes, slopes: from :func:`knots`.
    """
    x0, y0, width, height, first, last = _bin_of(angle, sizes, slopes, inverse)
    mean = height / width
    bend = first + last - 2.0 * mean
    if inverse:
        rise = angle - y0
        square = height * (mean - first) + rise * bend
        linear = height * first - rise * bend
        root = tf.sqrt(tf.nn.relu(linear**2 + 4.0 * square * mean * rise) + 1e-30)
        share = 2.0 * mean * rise / (linear + root)
    else:
        share = (angle - x0) / width
    rest = 1.0 - share
    below = mean + bend * share * rest
    slope = mean**2 * (last * share**2 + 2.0 * mean * share * rest + first * rest**2) / below**2
    if inverse:
        return held(x0 + share * width, -tf.math.log(slope))
    value = y0 + height * (mean * share**2 + first * share * rest) / below
    return held(value, tf.math.log(slope))


def _bin_of(
    angle: tf.Tensor, sizes: tf.Tensor, slopes: tf.Tensor, inverse: bool
) -> list[tf.Tensor]:
    """Lower knot (x, y), width, height, and the slopes at both ends of the bin that an angle is in.

    Unrolled over the bins, so that each row is one pass of a compiled loop.
    """
    bins = slopes.shape[1]

    @tf.custom_gradient
    def choose(angle: tf.Tensor, sizes: tf.Tensor, slopes: tf.Tensor) -> tuple[Any, Any]:
        widths, heights = (tf.unstack(value, axis=1) for value in tf.unstack(sizes, axis=1))
        ends = tf.unstack(slopes, axis=1)
        x = y = tf.zeros_like(angle) - np.pi
        chosen = [x, y, widths[0], heights[0], ends[0], ends[1 % bins]]
        for index in range(1, bins):
            x, y = x + widths[index - 1], y + heights[index - 1]
            here = [x, y, widths[index], heights[index], ends[index], ends[(index + 1) % bins]]
            beyond = angle >= (y if inverse else x)
            chosen = [tf.where(beyond, new, old) for new, old in zip(here, chosen, strict=True)]

        def back(*bars: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            x, y, width, height, first, last = (bar[:, None] for bar in bars)
            edges = tf.cumsum(sizes[:, int(inverse)], axis=1) - np.pi
            reached = tf.cast(angle[:, None] >= edges[:, :-1], angle.dtype)
            one = tf.ones_like(angle[:, None])
            after = tf.concat([reached, 0.0 * one], axis=1)
            within = tf.concat([one, reached], axis=1) - after
            both = [x * after + width * within, y * after + height * within]
            ends = first * within + last * tf.roll(within, 1, axis=1)
            return tf.zeros_like(angle), tf.stack(both, axis=1), ends

        return chosen, back

    return held(*choose(angle, sizes, slopes))
