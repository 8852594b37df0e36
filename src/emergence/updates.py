"""Update rules of the training loop: Adam, and Levenberg-Marquardt for least-squares losses.

Both act on parameters with a leading seed axis, one independent training per seed, and keep what
they carry from step to step (moments, damping) in a flat dictionary of tensors, so that a
checkpoint is nothing but tensors. Keras' optimisers own one set of variables and one gradient norm
and cannot clip or damp seed by seed, hence these few lines.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from emergence import jacobians
from emergence.jacobians import LeastSquares, Parameters, flatten, unflatten
from emergence.settings import Stage

Objective = Callable[[Parameters], tuple[tf.Tensor, tf.Tensor]]
Shapes = dict[str, tuple[int, ...]]

BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8
"""Adam (Kingma & Ba, arXiv:1412.6980); the short memory β₂ = 0.99 suits growing windows."""

DAMPING_DOWN, DAMPING_UP = 0.3, 6.0
DAMPING_RANGE = (1e-10, 1e8)


def per_seed(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshape ``[seeds]`` so that it broadcasts against ``like`` ``[seeds, ...]``."""
    return tf.reshape(values, [-1] + [1] * (len(like.shape) - 1))


def adam_gradient(
    objective: Objective, vector: tf.Tensor, shapes: Shapes, stage: Stage
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradient ``[seeds, parameters]`` of the loss with its ridge, and the reported values."""
    with tf.GradientTape() as tape:
        tape.watch(vector)
        loss, reported = objective(unflatten(vector, shapes))
        total = tf.reduce_sum(loss) + stage.ridge * tf.reduce_sum(vector**2)
    return tape.gradient(total, vector, unconnected_gradients="zero"), reported


def adam_update(
    gradient: tf.Tensor,
    vectors: Parameters,
    stage: Stage,
    step: tf.Tensor,
    rate_scale: tf.Tensor,
) -> Parameters:
    """One step with a cosine rate and the gradient norm clipped seed by seed.

    Args:
        gradient: ``[seeds, parameters]``, from :func:`adam_gradient`.
        vectors: ``p``, ``m``, ``v`` and ``count``, from :func:`adam_vectors`.
        step: index within the stage, for the schedule.
        rate_scale: factor on the rate, lowered by the divergence guard.

    Returns:
        The new vectors.
    """
    dtype = gradient.dtype
    norm = tf.sqrt(tf.reduce_sum(gradient**2, axis=1, keepdims=True))
    gradient = gradient * tf.minimum(tf.ones([], dtype), stage.clip_norm / (norm + 1e-30))
    fraction = tf.cast(step, dtype) / max(stage.steps, 1)
    cosine = 0.5 * (1.0 + tf.cos(np.pi * fraction))
    rate = stage.rate * (stage.final_rate + (1.0 - stage.final_rate) * cosine)
    rate = rate * tf.cast(rate_scale, dtype)
    count = vectors["count"] + 1.0
    first = BETA_1 * vectors["m"] + (1.0 - BETA_1) * gradient
    second = BETA_2 * vectors["v"] + (1.0 - BETA_2) * gradient**2
    unbiased_first = first / (1.0 - BETA_1**count)
    unbiased_second = second / (1.0 - BETA_2**count)
    change = rate * unbiased_first / (tf.sqrt(unbiased_second) + EPSILON)
    return {"p": vectors["p"] - change, "m": first, "v": second, "count": count}


def adam_vectors(parameters: Parameters, carried: Parameters) -> Parameters:
    """Parameters ``p``, moments ``m`` and ``v``, each one vector a seed, and ``count``.

    A step is then the same few operations for however many parameters there are, which for a flow's
    hundreds compile in less time and memory.
    """
    moments = {m: flatten({name: carried[f"{m}/{name}"] for name in parameters}) for m in "mv"}
    return {"p": flatten(parameters), **moments, "count": carried["count"]}


def adam_named(vectors: Parameters, shapes: Shapes) -> tuple[Parameters, Parameters]:
    """Inverse of :func:`adam_vectors`: parameters and carried tensors by their names."""
    moments = {
        f"{m}/{name}": value for m in "mv" for name, value in unflatten(vectors[m], shapes).items()
    }
    return unflatten(vectors["p"], shapes), moments | {"count": vectors["count"]}


def shapes_of(parameters: Parameters) -> Shapes:
    """Shapes without the seed axis, by name."""
    return {name: tuple(value.shape[1:]) for name, value in parameters.items()}


def adam_start(parameters: Parameters) -> Parameters:
    """Zero moments and step count."""
    dtype = next(iter(parameters.values())).dtype
    carried = {f"m/{name}": tf.zeros_like(value) for name, value in parameters.items()}
    carried |= {f"v/{name}": tf.zeros_like(value) for name, value in parameters.items()}
    return carried | {"count": tf.zeros([], dtype)}


def levenberg_marquardt_start(parameters: Parameters, stage: Stage) -> Parameters:
    """The damping each seed starts a stage with, ``[seeds]``."""
    value = next(iter(parameters.values()))
    damping = max(stage.damping, least_damping(value.dtype))
    return {"damping": tf.fill([value.shape[0]], tf.constant(damping, value.dtype))}


def least_damping(dtype: tf.DType) -> float:
    """The smallest damping that a precision resolves.

    Directions that do nothing leave the normal equations singular but for the damping.
    """
    return max(DAMPING_RANGE[0], 100.0 * float(np.finfo(dtype.as_numpy_dtype).eps))


def levenberg_marquardt_step(
    problem: LeastSquares,
    parameters: Parameters,
    carried: Parameters,
    batch: tuple[tf.Tensor, ...],
    stage: Stage,
) -> tuple[Parameters, Parameters, tf.Tensor]:
    """One damped Gauss-Newton step per seed, taken only where it lowers the loss on this batch.

    Loss: mean squared residual + ridge·|parameters|². Damping by Marquardt's scaling of the
    diagonal; a rejected step (a non-finite one included) raises it sixfold, an accepted one lowers
    it to 0.3. Source: Marquardt, J. SIAM 11, 431 (1963).

    Returns:
        New parameters, new carried damping, loss ``[seeds]`` after the step.
    """
    shapes = shapes_of(parameters)
    flat = flatten(parameters)
    residuals = problem.residuals

    def curvature_of_one(flat: tf.Tensor, *batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        flat, batch = flat[None], tuple(part[None] for part in batch)
        rows, values = (found[0] for found in jacobians.of_problem(problem, flat, batch, shapes))
        number = tf.cast(tf.shape(values)[0], values.dtype)
        slope = tf.linalg.matvec(rows, values) / number
        return tf.matmul(rows, rows, transpose_b=True) / number, slope, tf.reduce_mean(values**2)

    # Seed after seed: all their Jacobians at once would need gigabytes and are no faster.
    @tf.function(jit_compile=True, autograph=False)
    def curvature(flat: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return tf.map_fn(
            lambda parts: curvature_of_one(*parts),
            (flat, *batch),
            fn_output_signature=(flat.dtype, flat.dtype, flat.dtype),
            parallel_iterations=1,
        )

    @tf.function(jit_compile=True, autograph=False)
    def mean_square(flat: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(residuals(unflatten(flat, shapes), batch) ** 2, axis=1)

    normal, slope, loss = curvature(flat)
    identity = tf.eye(flat.shape[1], dtype=flat.dtype)
    normal = normal + stage.ridge * identity
    slope = slope + stage.ridge * flat
    scale = tf.linalg.diag_part(normal) + 1e-14
    system = normal + tf.linalg.diag(per_seed(carried["damping"], scale) * scale)
    # A seed whose curvature overflowed takes no step; the others must not suffer for it.
    finite = tf.reduce_all(tf.math.is_finite(system), axis=[1, 2])
    system = tf.where(finite[:, None, None], system, identity)
    change = -tf.linalg.solve(system, tf.where(finite[:, None], slope, 0.0)[..., None])[..., 0]
    proposal = flat + change
    before = loss + stage.ridge * tf.reduce_sum(flat**2, axis=1)
    after = mean_square(proposal)
    improved = after + stage.ridge * tf.reduce_sum(proposal**2, axis=1) < before
    accepted = tf.logical_and(improved, finite)
    flat = tf.where(accepted[:, None], proposal, flat)
    damping = carried["damping"]
    damping = tf.where(accepted, damping * DAMPING_DOWN, damping * DAMPING_UP)
    damping = tf.clip_by_value(
        damping,
        tf.constant(least_damping(flat.dtype), flat.dtype),
        tf.constant(DAMPING_RANGE[1], flat.dtype),
    )
    return unflatten(flat, shapes), {"damping": damping}, tf.where(accepted, after, loss)
