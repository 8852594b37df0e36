"""Couplings in loops: a flow is compiled once for all of them, and its derivative as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def scan_couplings(
    couple: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    order: Sequence[int],
    lattice: tf.Tensor,
    context: tf.Tensor,
    stacked: list[tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Couplings one after the other in a loop that is compiled once.

    Its derivative is a loop as well, which computes each coupling again from the lattice before it:
    only those are kept.

    Args:
        couple: (index, lattice, context, its parameters) → lattice, ln |Jacobian| ``[seeds, batch]``.
        order: indices of the couplings.
        lattice: ``[seeds, ..., batch]``.
        context: ``[seeds, contexts, batch]``.
        stacked: parameters, each ``[couplings, seeds, ...]``.
    """
    number = len(order)
    indices = tf.constant(order, tf.int32)

    def forward(lattice, context, stacked):
        """Lattice, ln |Jacobian|, and the lattice before each coupling."""

        def body(step, lattice, log_det, inputs):
            index = indices[step]
            inputs = inputs.write(step, lattice)
            own = [tf.gather(value, index) for value in stacked]
            lattice, change = couple(index, lattice, context, *own)
            return step + 1, lattice, log_det + change, inputs

        inputs = tf.TensorArray(lattice.dtype, number, element_shape=lattice.shape)
        log_det = tf.zeros([lattice.shape[0], lattice.shape[-1]], lattice.dtype)
        _, after, log_det, inputs = counted_loop(
            number, body, (tf.constant(0), lattice, log_det, inputs)
        )
        return after, log_det, inputs.stack()

    def backward(inputs, context, stacked, lattice_bar, log_det_bar):
        """Derivatives by the lattice, the context and each of the parameters."""

        def back(step, lattice_bar, context_bar, *bars):
            place = number - 1 - step
            index = indices[place]
            given = [inputs[place], context, *(tf.gather(value, index) for value in stacked)]
            with tf.GradientTape() as tape:
                tape.watch(given)
                result = couple(index, *given)
            found = tape.gradient(
                result, given, [lattice_bar, log_det_bar], unconnected_gradients="zero"
            )
            bars = [bar.write(index, own) for bar, own in zip(bars, found[2:], strict=True)]
            return step + 1, found[0], context_bar + found[1], *bars

        bars = [
            tf.TensorArray(value.dtype, number, element_shape=value.shape[1:]) for value in stacked
        ]
        start = (tf.constant(0), lattice_bar, tf.zeros_like(context), *bars)
        _, lattice_bar, context_bar, *bars = counted_loop(number, back, start)
        return lattice_bar, context_bar, *(bar.stack() for bar in bars)

    @tf.custom_gradient
    def run(lattice: tf.Tensor, context: tf.Tensor, *stacked: tf.Tensor):
        after, log_det, inputs = forward(lattice, context, stacked)
        return (after, log_det), lambda *bars: backward(inputs, context, stacked, *bars)

    return run(lattice, context, *stacked)


def by_coupling(parameters: tf.Tensor) -> tf.Tensor:
    """``[seeds, couplings, ...]`` → ``[couplings, seeds, ...]``."""
    return tf.transpose(parameters, [1, 0, *range(2, len(parameters.shape))])


def counted_loop(number: int, body: Callable[..., tuple], start: tuple) -> tuple:
    """``body`` that many times, of which each time's result is the next one's arguments.

    The first of them is its index.
    """
    return tf.while_loop(
        lambda step, *_: step < number,
        body,
        start,
        maximum_iterations=number,
        parallel_iterations=1,
    )
