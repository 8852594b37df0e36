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

BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8
"""Adam (Kingma & Ba, arXiv:1412.6980); the short memory β₂ = 0.99 suits growing windows."""

DAMPING_DOWN, DAMPING_UP = 0.3, 6.0
DAMPING_RANGE = (1e-10, 1e8)


def per_seed(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshape ``[seeds]`` so that it broadcasts against ``like`` ``[seeds, ...]``."""
    return tf.reshape(values, [-1] + [1] * (len(like.shape) - 1))


def adam_step(
    objective: Callable[[Parameters], tuple[tf.Tensor, tf.Tensor]],
    parameters: Parameters,
    carried: Parameters,
    stage: Stage,
    step: tf.Tensor,
    rate_scale: tf.Tensor,
) -> tuple[Parameters, Parameters, tf.Tensor]:
    """One Adam step with a cosine rate and the gradient norm clipped seed by seed.

    Args:
        objective: parameters → (loss to differentiate, value to report), each ``[seeds]``.
        carried: ``m/<name>``, ``v/<name>`` and ``count``, from :func:`adam_start`.
        step: index within the stage, for the schedule.
        rate_scale: factor on the rate, lowered by the divergence guard.

    Returns:
        New parameters, new carried tensors, reported values ``[seeds]``.
    """
    gradients, reported = adam_gradients(objective, parameters, stage)
    changed = adam_update(gradients, parameters, carried, stage, step, rate_scale)
    return *changed, reported


def adam_gradients(
    objective: Callable[[Parameters], tuple[tf.Tensor, tf.Tensor]],
    parameters: Parameters,
    stage: Stage,
) -> tuple[Parameters, tf.Tensor]:
    """Gradients of the loss with its ridge, and the reported values ``[seeds]``."""
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        loss, reported = objective(parameters)
        penalty = tf.add_n([tf.reduce_sum(value**2) for value in parameters.values()])
        total = tf.reduce_sum(loss) + stage.ridge * penalty
    return tape.gradient(total, parameters, unconnected_gradients="zero"), reported


def adam_update(
    gradients: Parameters,
    parameters: Parameters,
    carried: Parameters,
    stage: Stage,
    step: tf.Tensor,
    rate_scale: tf.Tensor,
) -> tuple[Parameters, Parameters]:
    """New parameters and new carried tensors: what :func:`adam_step` makes of the gradients."""
    square = tf.add_n(
        [tf.reduce_sum(tf.reshape(g, [g.shape[0], -1]) ** 2, axis=1) for g in gradients.values()]
    )
    dtype = square.dtype
    clip = tf.minimum(tf.ones([], dtype), stage.clip_norm / (tf.sqrt(square) + 1e-30))
    fraction = tf.cast(step, dtype) / max(stage.steps, 1)
    cosine = 0.5 * (1.0 + tf.cos(np.pi * fraction))
    rate = stage.rate * (stage.final_rate + (1.0 - stage.final_rate) * cosine)
    rate = rate * tf.cast(rate_scale, dtype)
    count = carried["count"] + 1.0
    new_parameters, new_carried = {}, {"count": count}
    for name, gradient in gradients.items():
        gradient = gradient * per_seed(clip, gradient)
        first = BETA_1 * carried[f"m/{name}"] + (1.0 - BETA_1) * gradient
        second = BETA_2 * carried[f"v/{name}"] + (1.0 - BETA_2) * gradient**2
        unbiased_first = first / (1.0 - BETA_1**count)
        unbiased_second = second / (1.0 - BETA_2**count)
        change = rate * unbiased_first / (tf.sqrt(unbiased_second) + EPSILON)
        new_parameters[name] = parameters[name] - change
        new_carried[f"m/{name}"], new_carried[f"v/{name}"] = first, second
    return new_parameters, new_carried


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
    shapes = {name: tuple(value.shape[1:]) for name, value in parameters.items()}
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
