"""Hamiltonian Monte Carlo in TensorFlow: many chains at once, a whole run in one compiled call.

For any differentiable log-density ln π(q) up to a constant, with unit masses: momenta are drawn,
Hamilton's equations of H = −ln π(q) + p²/2 are followed by ``leapfrogs`` leapfrog steps of size ε,
and the end is accepted with probability min(1, e^{−ΔH}), so that ⟨e^{−ΔH}⟩ = 1 in equilibrium. ε is
tuned by dual averaging (Hoffman and Gelman, arXiv:1111.4246) to a target acceptance before the
measured run and fixed in it; groups of chains, such as those of one coupling, may each have their
own. On the boundary ln π = −S[φ]; in the bulk it is
ln p(ζ) + ln π(g(ζ)) − ln q(g(ζ)), whose samples g(ζ) follow π whatever the map g is.

What the density depends on besides the state (couplings, weights of a flow) is passed as ``context``
at every call, so that one compilation serves a whole phase diagram.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.errors import DivergenceError, SettingsError
from emergence.evaluating import compiled
from emergence.holography.leapfrog import leapfrog
from emergence.randomness import derive_seed

Density = Callable[..., tf.Tensor]
"""``(state [chains, ...], *context)`` → ln π ``[chains]``, up to a constant."""

Observe = Callable[..., dict[str, tf.Tensor]]
"""``(state [chains, ...], *context)`` → name → ``[chains]``."""

_SHRINKAGE, _OFFSET, _FORGETTING = 0.05, 10.0, 0.75
"""γ, t₀ and κ of dual averaging, the values of arXiv:1111.4246."""


@dataclass(frozen=True)
class HmcRun:
    """What a run of trajectories leaves."""

    series: dict[str, np.ndarray]
    """Name → ``[chains, trajectories]``, measured after each trajectory."""
    accepted: np.ndarray
    """Whether each trajectory was, bool ``[chains, trajectories]``."""
    energy_error: np.ndarray
    """ΔH of each proposal, ``[chains, trajectories]``; not finite where it diverged."""
    state: tf.Tensor
    """Where the chains ended, ``[chains, ...]``."""

    @property
    def acceptance(self) -> float:
        """Share of accepted trajectories."""
        return float(self.accepted.mean())


class HamiltonianSampler:
    """Trajectories of one density, compiled when first called.

    A cheap density is best compiled together with the loops around it. One that takes long to
    compile, such as a flow's, is compiled once by itself and called from loops that are not.

    Args:
        log_density: ln π of a batch of chains.
        observe: what to record after each trajectory.
        leapfrogs: steps per trajectory.
        jitter: each trajectory's ε is multiplied by a uniform factor in 1 ± jitter (the same for all
            chains): without it, trajectories of a whole period of a mode leave that mode in place.
        fused: whether the loops are compiled with the density in them.

    Raises:
        SettingsError: there are no leapfrog steps, or the jitter is not in [0, 1).
    """

    def __init__(
        self,
        log_density: Density,
        observe: Observe,
        leapfrogs: int,
        jitter: float = 0.0,
        *,
        fused: bool = True,
    ) -> None:
        if leapfrogs < 1 or not 0.0 <= jitter < 1.0:
            raise SettingsError(
                f"Hamiltonian Monte Carlo with {leapfrogs} leapfrog steps and a jitter of {jitter}"
                " has no trajectories.",
                "Choose at least 1 step and a jitter in [0, 1).",
            )
        self._log_density, self._leapfrogs, self._jitter = log_density, leapfrogs, jitter
        self._evaluate = compiled(self._value_and_gradient)
        self._observe = compiled(observe)
        whole = compiled if fused else partial(tf.function, autograph=False)
        self._tune = whole(self._tuning)
        self._run = whole(self._measured)

    def tune(
        self,
        start: tf.Tensor,
        *,
        trajectories: int,
        seed: int,
        step: float = 0.1,
        target: float = 0.8,
        groups: int = 1,
        context: tuple[Any, ...] = (),
    ) -> tuple[tf.Tensor, float | np.ndarray]:
        """Move the chains ``[chains, ...]`` towards equilibrium while tuning ε.

        Args:
            step: ε to start from; far too large is as well as far too small.
            target: acceptance averaged over the chains of a group.
            groups: of as many consecutive chains, each with an ε of its own.

        Returns:
            (state, ε): one number, or ``[groups]`` where there are several.

        Raises:
            SettingsError: a target outside (0, 1), a step or a count that is not positive, chains
                that are no multiple of the groups.
            DivergenceError: the density or its gradient is not finite at the start or the end.
        """
        if not 0.0 < target < 1.0:
            raise SettingsError(f"The target acceptance is {target}.", "Choose one within (0, 1).")
        steps = np.full(groups, step)
        start = _checked(start, steps, trajectories)
        key = tf.constant(derive_seed(seed, "hmc", "tune"), tf.int32)
        steps, target = tf.constant(steps, start.dtype), tf.constant(target, start.dtype)
        first = self._first(start, context)
        state, steps, finite = self._tune(start, *first, steps, target, key, trajectories, context)
        if not (finite.numpy() and np.isfinite(steps.numpy()).all()):
            raise _lost()
        return state, steps.numpy() if groups > 1 else float(steps[0])

    def run(
        self,
        start: tf.Tensor,
        *,
        step: float | np.ndarray,
        trajectories: int,
        seed: int,
        context: tuple[Any, ...] = (),
    ) -> HmcRun:
        """``trajectories`` from ``start`` ``[chains, ...]`` at fixed ε = ``step``, all recorded.

        Args:
            step: one number, or ``[groups]``, one for each group of consecutive chains.

        Raises:
            SettingsError: a step or a count that is not positive, chains that are no multiple of the
                groups.
            DivergenceError: the density or its gradient is not finite at the start.
        """
        steps = np.atleast_1d(step)
        start = _checked(start, steps, trajectories)
        key = tf.constant(derive_seed(seed, "hmc", "run"), tf.int32)
        first = self._first(start, context)
        steps = tf.constant(steps, start.dtype)
        state, series, accepted, errors = self._run(
            start, *first, steps, key, trajectories, context
        )
        return HmcRun(
            series={name: values.numpy().T for name, values in series.items()},
            accepted=accepted.numpy().T,
            energy_error=errors.numpy().T,
            state=state,
        )

    def _first(self, start: tf.Tensor, context: tuple[Any, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        value, gradient = self._evaluate(start, *context)
        if not _all_finite(value, gradient).numpy():
            raise _lost()
        return value, gradient

    def _value_and_gradient(self, state: tf.Tensor, *context: Any) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(state)
            value = self._log_density(state, *context)
        return value, tape.gradient(value, state)

    def _trajectory(
        self,
        state: tf.Tensor,
        value: tf.Tensor,
        gradient: tf.Tensor,
        step: tf.Tensor,
        key: tf.Tensor,
        index: tf.Tensor,
        context: tuple[Any, ...],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """(state, ln π, gradient, accepted, ΔH) after one trajectory; all ``[chains, ...]``.

        Args:
            step: ``[groups]``.
        """
        dtype, chains = state.dtype, state.shape[0]
        seeds = [tf.stack([key, 3 * index + stream]) for stream in range(3)]
        momentum = tf.random.stateless_normal(state.shape, seeds[0], dtype=dtype)
        factor = tf.random.stateless_uniform([], seeds[1], -1.0, 1.0, dtype=dtype)
        each = tf.repeat(step * (1.0 + self._jitter * factor), chains // step.shape[0])
        step = tf.reshape(each, [chains] + [1] * (len(state.shape) - 1))
        new, new_momentum, new_value, new_gradient = leapfrog(
            lambda place: self._evaluate(place, *context),
            state,
            momentum,
            gradient,
            step,
            self._leapfrogs,
        )
        # The difference of squares is small: summed term by term it keeps its digits.
        kinetic = 0.5 * _sum((new_momentum - momentum) * (new_momentum + momentum))
        error = kinetic - (new_value - value)
        uniform = tf.random.stateless_uniform([chains], seeds[2], dtype=dtype)
        # ln of 1 − u, as u may be 0. A comparison with NaN is false: a lost trajectory is rejected.
        accepted = tf.math.log1p(-uniform) < -error
        accepted &= tf.math.is_finite(error) & tf.math.is_finite(_sum(new_gradient))
        wide = tf.reshape(accepted, [chains] + [1] * (len(state.shape) - 1))
        return (
            tf.where(wide, new, state),
            tf.where(accepted, new_value, value),
            tf.where(wide, new_gradient, gradient),
            accepted,
            error,
        )

    def _tuning(
        self,
        state: tf.Tensor,
        value: tf.Tensor,
        gradient: tf.Tensor,
        step: tf.Tensor,
        target: tf.Tensor,
        key: tf.Tensor,
        trajectories: int,
        context: tuple[Any, ...],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        dtype = state.dtype
        groups = step.shape[0]
        centre = tf.math.log(10.0 * step)

        def body(index: tf.Tensor, state: Any, value: Any, gradient: Any, *tuning: Any) -> Any:
            log_step, averaged, deficit = tuning
            state, value, gradient, _, error = self._trajectory(
                state, value, gradient, tf.exp(log_step), key, index, context
            )
            probability = tf.exp(tf.minimum(-error, 0.0))
            probability = tf.where(tf.math.is_finite(error), probability, 0.0)
            count = tf.cast(index + 1, dtype)
            share = 1.0 / (count + _OFFSET)
            reached = tf.reduce_mean(tf.reshape(probability, [groups, -1]), axis=1)
            deficit = (1.0 - share) * deficit + share * (target - reached)
            log_step = centre - tf.sqrt(count) / _SHRINKAGE * deficit
            weight = count**-_FORGETTING
            averaged = weight * log_step + (1.0 - weight) * averaged
            return index + 1, state, value, gradient, log_step, averaged, deficit

        log_step = tf.math.log(step)
        zero = tf.zeros([groups], dtype)
        start = (tf.constant(0), state, value, gradient, log_step, zero, zero)
        _, state, value, gradient, _, averaged, _ = tf.while_loop(
            lambda index, *_: index < trajectories,
            body,
            start,
            maximum_iterations=trajectories,
            parallel_iterations=1,
        )
        return state, tf.exp(averaged), _all_finite(value, gradient)

    def _measured(
        self,
        state: tf.Tensor,
        value: tf.Tensor,
        gradient: tf.Tensor,
        step: tf.Tensor,
        key: tf.Tensor,
        trajectories: int,
        context: tuple[Any, ...],
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        chains = state.shape[0]
        names = list(self._observe(state, *context))

        def column(dtype: tf.DType) -> tf.TensorArray:
            return tf.TensorArray(dtype, trajectories, element_shape=[chains])

        def body(index: tf.Tensor, state: Any, value: Any, gradient: Any, *columns: Any) -> Any:
            state, value, gradient, accepted, error = self._trajectory(
                state, value, gradient, step, key, index, context
            )
            observed = self._observe(state, *context)
            parts = [accepted, error, *(observed[name] for name in names)]
            columns = [
                column.write(index, part) for column, part in zip(columns, parts, strict=True)
            ]
            return index + 1, state, value, gradient, *columns

        columns = [column(tf.bool), *(column(state.dtype) for _ in ["error", *names])]
        _, state, _, _, *columns = tf.while_loop(
            lambda index, *_: index < trajectories,
            body,
            (tf.constant(0), state, value, gradient, *columns),
            maximum_iterations=trajectories,
            parallel_iterations=1,
        )
        accepted, errors, *series = [column.stack() for column in columns]
        return state, dict(zip(names, series, strict=True)), accepted, errors


def _sum(values: tf.Tensor) -> tf.Tensor:
    """Over everything but the chains."""
    return tf.reduce_sum(values, axis=list(range(1, len(values.shape))))


def _all_finite(value: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(value)) & tf.reduce_all(tf.math.is_finite(gradient))


def _checked(start: tf.Tensor, steps: np.ndarray, trajectories: int) -> tf.Tensor:
    if trajectories < 1 or not np.all((steps > 0.0) & (steps < np.inf)):
        raise SettingsError(
            f"Hamiltonian Monte Carlo cannot run {trajectories} trajectories of step"
            f" {', '.join(f'{step:g}' for step in steps)}.",
            "Choose a positive number and a positive step.",
        )
    start = tf.convert_to_tensor(start)
    if start.shape[0] % len(steps):
        raise SettingsError(
            f"{start.shape[0]} chains cannot be shared out among {len(steps)} steps.",
            "Choose as many chains for each step.",
        )
    return start


def _lost() -> DivergenceError:
    return DivergenceError(
        "Hamiltonian Monte Carlo met a density or a gradient that is not finite.",
        "Look at where it started, and at the weights of the flow if it runs in the bulk.",
    )
