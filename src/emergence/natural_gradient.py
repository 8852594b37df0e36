"""Natural gradient in the space of samples: fewer samples than parameters, so that the matrix to
solve is as large as the batch.

The direction is (XᵀX + λ)⁻¹Xᵀε = Xᵀ(XXᵀ + λ)⁻¹ε with the centred scores X = (O − Ō)/√B of B samples,
O = ∂ log ψ / ∂θ, and the centred local energies ε (minSR: Chen & Heyl, arXiv:2302.01941). A share
of the last direction is kept where the new samples say nothing against it (SPRING: Goldshlager,
Abrahamsen & Lin, arXiv:2401.10190).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from emergence.settings import Stage
from emergence.updates import Parameters, flatten, shapes_of, unflatten


class Scored(Protocol):
    """A problem whose loss is an expectation over samples that the network itself draws."""

    def scores(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(scores ``[seeds, rows, parameters]`` in the order of :func:`updates.flatten`, errors
        ``[seeds, rows]``, both centred over the rows; value to report)."""


def start(parameters: Parameters) -> Parameters:
    """No last direction yet."""
    return {"direction": tf.zeros_like(flatten(parameters))}


def step(
    problem: Scored,
    parameters: Parameters,
    carried: Parameters,
    batch: tuple[tf.Tensor, ...],
    stage: Stage,
    index: tf.Tensor,
    rate_scale: tf.Tensor,
) -> tuple[Parameters, Parameters, tf.Tensor]:
    """One step along the natural gradient, of length min(rate · |direction|, clip_norm).

    Args:
        carried: ``direction`` ``[seeds, parameters]``, from :func:`start`.
        index: step within the stage, for the cosine schedule of the rate.
        rate_scale: factor on the rate, lowered by the divergence guard.

    Returns:
        New parameters, new carried tensors, what the problem reports.
    """
    shapes = shapes_of(parameters)

    @tf.function(jit_compile=True, autograph=False)
    def prepare(parameters: Parameters, carried: Parameters) -> tuple[tf.Tensor, ...]:
        scores, errors, reported = problem.scores(parameters, batch)
        number = tf.cast(tf.shape(errors)[1], errors.dtype)
        scores, errors = scores / tf.sqrt(number), errors / tf.sqrt(number)
        kept = stage.momentum * carried["direction"]
        left = errors - tf.linalg.matvec(scores, kept)
        gram = tf.matmul(scores, scores, transpose_b=True)
        return scores, gram, left, kept, reported

    scores, gram, left, kept, reported = prepare(parameters, carried)
    direction = tf.linalg.matvec(scores, _solve(gram, left, stage.damping), transpose_a=True) + kept
    flat = flatten(parameters)
    fraction = tf.cast(index, flat.dtype) / max(stage.steps, 1)
    cosine = 0.5 * (1.0 + tf.cos(np.pi * fraction))
    rate = stage.rate * (stage.final_rate + (1.0 - stage.final_rate) * cosine)
    rate = rate * tf.cast(rate_scale, flat.dtype)
    length = tf.norm(direction, axis=1, keepdims=True)
    bound = tf.constant(stage.clip_norm, flat.dtype) / (rate * length + 1e-30)
    flat = flat - rate * tf.minimum(tf.ones_like(bound), bound) * direction
    return unflatten(flat, shapes), {"direction": direction}, reported


def _solve(gram: tf.Tensor, right: tf.Tensor, damping: float) -> tf.Tensor:
    """(gram + λ)⁻¹ right in double precision, λ = damping · mean diagonal; ``[seeds, rows]``.

    A batch whose Gram matrix is not finite gives NaN, which the divergence guard sees.
    """
    dtype = right.dtype
    gram, right = tf.cast(gram, tf.float64), tf.cast(right, tf.float64)
    finite = tf.reduce_all(tf.math.is_finite(gram), axis=[1, 2])
    rows = tf.eye(gram.shape[1], dtype=tf.float64)
    scale = damping * tf.linalg.trace(gram) / tf.cast(tf.shape(right)[1], tf.float64) + 1e-30
    system = tf.where(finite[:, None, None], gram + scale[:, None, None] * rows, rows)
    solved = tf.linalg.cholesky_solve(tf.linalg.cholesky(system), right[..., None])[..., 0]
    return tf.cast(tf.where(finite[:, None], solved, np.nan), dtype)


def per_sample(
    function: Callable[[Parameters, Any], tf.Tensor],
    parameters: Parameters,
    samples: tf.Tensor,
) -> tf.Tensor:
    """Gradient of ``function`` at each sample with respect to all parameters.

    The seed axis is reused: one copy of the network per sample, so that the gradient of the sum is
    the gradient of each.

    Args:
        function: (parameters ``[copies, ...]``, samples ``[copies, 1, ...]``) → ``[copies, 1]``.
        samples: ``[seeds, batch, ...]``.

    Returns:
        ``[seeds, batch, parameters]`` in the order of :func:`updates.flatten`.
    """
    seeds, batch = samples.shape[:2]
    copies = {name: tf.repeat(value, batch, axis=0) for name, value in parameters.items()}
    alone = tf.reshape(samples, [seeds * batch, 1, *samples.shape[2:]])
    with tf.GradientTape() as tape:
        tape.watch(copies)
        total = tf.reduce_sum(function(copies, alone))
    gradients = tape.gradient(total, copies, unconnected_gradients="zero")
    return tf.reshape(flatten(gradients), [seeds, batch, -1])
