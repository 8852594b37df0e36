"""Reflections of a field: moves that keep the action of every field to the last digit.

A site's part of the action of complex φ⁴ is −t Re φ*h + μ|φ|² + λ|φ|⁴, with h the sum of its neighbours.
Reflected about the line of h,

    φ → 2 (Re φ*h) h / |h|² − φ,

a site keeps both Re φ*h and |φ|. All sites of one colour of the chequerboard are reflected at once, then
those of the other: *over-relaxation* (F. R. Brown and T. J. Woch, Phys. Rev. Lett. 58, 2394, 1987;
M. Creutz, Phys. Rev. D 36, 515, 1987). It keeps volumes and may be undone, so that it needs no decision;
spin waves run through the torus by about a site a sweep, where whatever is accepted or rejected diffuses.
It never changes the action: what does must come from elsewhere.
"""

from __future__ import annotations

import tensorflow as tf


def reflected(field: tf.Tensor, seed: tf.Tensor, most: int) -> tf.Tensor:
    """Fields after a random number of sweeps, the same for all of them.

    Args:
        field: real and imaginary part last, ``[chains, L, L, 2]`` with an even L.
        seed: ``[2]``.
        most: sweeps at most; their number is uniform in 1 … ``most``, so that no mode is met after whole
            periods only.

    Raises:
        ValueError: the field is not complex, or its side is odd.
    """
    side = field.shape[1]
    if field.shape[-1] != 2 or side % 2:
        raise ValueError(
            f"Reflections are of complex fields on an even torus; this is {list(field.shape)}."
        )
    seeds = tf.random.split(seed, 2)
    count = tf.random.stateless_uniform([], seeds[0], 1, most + 1, tf.int32)
    # Either colour begins as often: the reversed order is then as likely as the order.
    first = tf.random.stateless_uniform([], seeds[1], 0, 2, tf.int32)
    row, column = tf.range(side)[:, None], tf.range(side)[None, :]
    colour = (row + column) % 2

    def half(index: tf.Tensor, field: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        turn = (colour == (index + first) % 2)[None, :, :, None]
        return index + 1, tf.where(turn, _mirrored(field), field)

    _, field = tf.while_loop(
        lambda index, _: index < 2 * count,
        half,
        (tf.constant(0), field),
        maximum_iterations=2 * most,
        parallel_iterations=1,
    )
    return field


def _mirrored(field: tf.Tensor) -> tf.Tensor:
    """Every site reflected about the sum of its neighbours, as they are now."""
    around = tf.add_n([tf.roll(field, step, axis) for axis in (1, 2) for step in (-1, 1)])
    along = tf.reduce_sum(field * around, axis=-1, keepdims=True)
    size = tf.reduce_sum(around * around, axis=-1, keepdims=True)
    # Where the neighbours cancel, no line is told and the site stays.
    return tf.where(size > 0.0, 2.0 * tf.math.divide_no_nan(along, size) * around - field, field)
