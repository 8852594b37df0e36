"""Metropolis in the bulk of a flow by refreshing latents: exact for any flow, and without a force.

Latents ζ are to follow p(ζ) w(ζ), with the prior p and the importance weight w = e^{−S}/q of the
field that the flow g makes of them; g(ζ) then follows e^{−S}. A proposal moves some latents of one
level so that it leaves p in balance, and is accepted with probability min(1, w'/w). A latent's
footprint is local at its level's scale, so that ln w changes by the flow's error *there*, and not by
that of the whole lattice as in independence Metropolis, which is the proposal of all latents at once.

How much is proposed at a level (:mod:`.latent_moves`) is tuned to an acceptance before the measured run
and fixed in it.

Chains of neighbouring couplings may also *exchange* their latents between two sweeps (Swendsen & Wang,
Phys. Rev. Lett. 57, 2607, 1986): accepted with min(1, w_a(ζ_b) w_b(ζ_a) / w_a(ζ_a) w_b(ζ_b)). In the
bulk a conditional flow has taken up most of what the couplings change, which fields would have to pay
for by the difference of their actions. What is slow at one coupling is forgotten at another, after a
walk over those in between: exchanges should be as frequent as their cost, one evaluation each, allows.
Estimates at different couplings are then no longer independent.

And the field may be *shifted* by a random vector between two sweeps, its latents being those that the
inverse of the flow gives it: the theory is the same at every site, so that no shift need be rejected, but
the flow is not. That is exact as far as the inverse is, hence in double precision. What was part of a
block's corner before is part of its middle then, and a field that the flow makes too rarely, where
chains wait for long, is often one that it makes readily after a shift. Before it, sites may be
*reflected* (:mod:`.reflections`), which the theory does not notice either: its long waves, whose latents
move by small steps only, then cross the torus. Neither changes the action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.errors import DivergenceError, SettingsError
from emergence.evaluating import compiled
from emergence.holography.latent_moves import Scattered
from emergence.holography.reflections import reflected
from emergence.randomness import derive_seed

Evaluate = Callable[..., tuple[tf.Tensor, tf.Tensor]]
"""(latents ``[chains, L, L, c]``, *context) → ln w ``[chains]`` up to a constant, and the field."""

Invert = Callable[..., tf.Tensor]
"""(field, *context*) → latents ``[chains, L, L, c]``."""

Measure = Callable[..., dict[str, tf.Tensor]]
"""(field, couplings) → name → ``[chains]``."""

GAIN, DECAY = 2.0, 0.6
"""Of the stochastic approximation: the n-th proposal moves σ by GAIN·n^−DECAY·(accepted − target)."""

SHIFT_TOLERANCE = 1e-3
"""A shift is refused where the flow does not make the shifted field of the latents that were found, by so
much of the field's size at any site. That of 32 × 32 magnifies changes of its latents by up to 3 × 10⁴
deep in the ordered phase, and makes of what rounding leaves another field. Refusals are no part of the
balance: a field that does not survive its inverse would be left and never entered. In double precision
there are none."""

REFRESH, SHIFT, EXCHANGE = range(3)
"""Kinds of proposals."""


@dataclass(frozen=True)
class RefreshRun:
    """What a run of sweeps leaves."""

    series: dict[str, np.ndarray]
    """Name → ``[chains, trajectories]``."""
    accepted: np.ndarray
    """Share of the proposals that were accepted, ``[chains, trajectories]``."""
    fields: np.ndarray
    """What was recorded, ``[chains, trajectories, L, L, components]``."""
    state: tf.Tensor
    """Where the chains ended, ``[chains, L, L, c]``."""
    strength: np.ndarray
    """σ of each group of chains and level, ``[groups, levels]``."""


class RefreshSampler:
    """Chains of latents at any couplings side by side, compiled when first called.

    Args:
        evaluate: the flow with its weight; its context begins with the couplings.
        moves: what a proposal moves at each level.
        measure: what to record of the field.
        refreshes: sweeps over all levels between two records.
        couplings: how many there are, of as many consecutive chains each.
        exchanges: how often neighbours among them exchange latents between two records, after equally
            many sweeps each.
        shifts: how often the field is shifted between two records, likewise.
        reflections: sweeps of them before each shift, at most.
        invert: the flow's inverse, if it is.

    Raises:
        ValueError: there are shifts without an inverse.
        SettingsError: there are no sweeps, or no equal number of them for every shift or exchange.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        moves: Scattered,
        measure: Measure,
        refreshes: int,
        couplings: int = 1,
        exchanges: int = 0,
        shifts: int = 0,
        reflections: int = 0,
        invert: Invert | None = None,
    ) -> None:
        if refreshes < 1:
            raise SettingsError(
                f"Chains with {refreshes} sweeps between two records do not move.",
                "Choose at least 1 refresh.",
            )
        if shifts and invert is None:
            raise ValueError("Shifted fields have latents only by the inverse of the flow.")
        for number, name in ((shifts, "shifts"), (exchanges, "exchanges")):
            if number and refreshes % number:
                raise SettingsError(
                    f"{refreshes} sweeps cannot be shared among {number} {name}.",
                    f"Choose a number of {name} that divides the refreshes.",
                )
        self._moves, self._measure, self._refreshes = moves, measure, refreshes
        self._couplings, self._exchanges, self._invert = couplings, exchanges, invert
        self._reflections = reflections
        self._levels = len(moves.numbers)
        self._plan = _plan(refreshes, self._levels, shifts, exchanges)
        self._evaluate = evaluate
        self._start = compiled(evaluate)
        self._run = compiled(self._recorded)

    @property
    def proposals(self) -> int:
        """Of each trajectory, as a trajectory is here what lies between two records."""
        return len(self._plan)

    def first_strength(self, groups: int) -> np.ndarray:
        """One unit afresh at every level, ``[groups, levels]``."""
        return self._moves.first_strength(groups)

    def run(
        self,
        start: tf.Tensor,
        *,
        strength: np.ndarray,
        trajectories: int,
        seed: int,
        context: tuple[Any, ...],
        tuned: int | None = None,
    ) -> RefreshRun:
        """``trajectories`` records from ``start`` ``[chains, L, L, c]``.

        Args:
            strength: ``[groups, levels]``, of as many consecutive chains each.
            context: couplings ``[chains, 2]``, and what else the flow needs.
            tuned: proposals of each level by which σ was tuned before, to go on tuning from; None
                keeps it fixed, which a measured run must.

        Raises:
            DivergenceError: ln w is not finite at the start.
        """
        value, field = self._start(start, *context)
        if not np.isfinite(value.numpy()).all():
            raise DivergenceError(
                "The weight of a field is not finite where chains of latents start.",
                "Look at the weights of the flow.",
            )
        dtype = start.dtype
        gain = tf.constant(0.0 if tuned is None else GAIN, dtype)
        key = tf.constant(derive_seed(seed, "refresh"), tf.int32)
        state, strength, accepted, fields, series = self._run(
            start, value, field, tf.constant(strength, dtype), gain,
            tf.constant(float(tuned or 0), dtype), key, trajectories, context,
        )  # fmt: skip
        return RefreshRun(
            {name: values.numpy().T for name, values in series.items()},
            accepted.numpy().T, fields.numpy().swapaxes(0, 1), state, strength.numpy(),
        )  # fmt: skip

    def _recorded(
        self,
        state: tf.Tensor,
        value: tf.Tensor,
        field: tf.Tensor,
        strength: tf.Tensor,
        gain: tf.Tensor,
        tuned: tf.Tensor,
        key: tf.Tensor,
        trajectories: int,
        context: tuple[Any, ...],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Compiled with the flow in it once: in the inner loop, over proposals."""
        dtype, chains = state.dtype, state.shape[0]
        names = list(self._measure(field, context[0]))
        plan = tf.constant(self._plan)
        refreshed = self._refreshes * self._levels
        partners = _partners(self._couplings, chains) if self._exchanges else None

        def propose(index, state, value, field, strength, share):
            # The second is a level, or of an exchange which one it is.
            kind, level, sweep = tf.unstack(tf.gather(plan, index % self.proposals))
            seeds = tf.random.split(tf.stack([key, index]), 2)
            moved = lambda: self._moves.propose(state, strength, level, seeds[0])  # noqa: E731
            exchanging, shifting = kind == EXCHANGE, kind == SHIFT
            if self._invert is None:
                proposal = moved()
            else:
                proposal, wanted = tf.cond(
                    shifting,
                    lambda: self._shifted(field, seeds[0], context),
                    lambda: (moved(), field),
                )
            if partners is not None:
                turn = index // self.proposals * self._exchanges + level
                partner = tf.gather(partners, turn % 2)
                proposal = tf.where(exchanging, tf.gather(state, partner), proposal)
            weight, made = self._evaluate(proposal, *context)
            change = weight - value
            luck = tf.random.stateless_uniform([chains], seeds[1], dtype=dtype)
            if partners is not None:
                # Both of a pair decide alike: by the sum of their changes, and by the luck of the first.
                both = change + tf.gather(change, partner)
                first = tf.gather(luck, tf.minimum(partner, tf.range(chains)))
                change = tf.where(exchanging, both, change)
                luck = tf.where(exchanging, first, luck)
            # What is not finite is not accepted.
            finite = tf.math.is_finite(change)
            accepted = finite & (tf.math.log(luck) < change)
            if self._invert is not None:
                accepted = tf.where(shifting, finite & _agree(made, wanted), accepted)
            chance = tf.where(finite, tf.exp(tf.minimum(change, 0.0)), 0.0)
            state, field = (
                tf.where(accepted[:, None, None, None], new, old)
                for new, old in ((proposal, state), (made, field))
            )
            value = tf.where(accepted, weight, value)
            step = tuned + tf.cast(index // self.proposals * self._refreshes + sweep, dtype) + 1.0
            rate = tf.where(kind == REFRESH, gain * step**-DECAY, 0.0)
            strength = self._tuned(strength, level, chance, rate)
            counted = tf.where(kind == REFRESH, tf.cast(accepted, dtype), 0.0)
            share = share + counted / refreshed
            return index + 1, state, value, field, strength, share

        def record(trajectory, *carried):
            last = (trajectory + 1) * self.proposals
            moving, columns = carried[:4], carried[4:]
            start = (trajectory * self.proposals, *moving, tf.zeros([chains], dtype))
            _, *moving, share = _loop(propose, start, last, self.proposals)
            found = [share, moving[2], *self._measure(moving[2], context[0]).values()]
            columns = [c.write(trajectory, v) for c, v in zip(columns, found, strict=True)]
            return trajectory + 1, *moving, *columns

        shapes = [[chains], field.shape, *([chains] for _ in names)]
        columns = [tf.TensorArray(dtype, trajectories, element_shape=shape) for shape in shapes]
        start = (tf.constant(0), state, value, field, strength, *columns)
        _, state, _, _, strength, *columns = _loop(record, start, trajectories, trajectories)
        share, fields, *series = [column.stack() for column in columns]
        return state, strength, share, fields, dict(zip(names, series, strict=True))

    def _shifted(
        self, field: tf.Tensor, seed: tf.Tensor, context: tuple[Any, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The latents of the fields, all of them shifted by the same random vector; and those fields."""
        seeds = tf.random.split(seed, 2)
        shift = tf.random.stateless_uniform([2], seeds[0], 0, field.shape[1], tf.int32)
        wanted = tf.roll(field, shift, axis=[1, 2])
        if self._reflections:
            wanted = reflected(wanted, seeds[1], self._reflections)
        return self._invert(wanted, *context), wanted

    def _tuned(
        self, strength: tf.Tensor, level: tf.Tensor, chance: tf.Tensor, gain: tf.Tensor
    ) -> tf.Tensor:
        """σ of this level after a proposal, ``[groups, levels]``."""
        reached = tf.reduce_mean(tf.reshape(chance, [strength.shape[0], -1]), axis=1)
        here = tf.one_hot(level, strength.shape[1], dtype=strength.dtype)
        strength = strength + gain * (reached - self._moves.target)[:, None] * here
        lowest = tf.constant(self._moves.lowest(), strength.dtype)
        return tf.clip_by_value(strength, lowest, 0.0)


def _agree(made: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Whether fields are the same up to the tolerance, ``[chains]``."""
    size = tf.sqrt(tf.reduce_mean(wanted**2, axis=[1, 2, 3]))
    return tf.reduce_max(tf.abs(made - wanted), axis=[1, 2, 3]) <= SHIFT_TOLERANCE * size


def _plan(refreshes: int, levels: int, shifts: int, exchanges: int) -> np.ndarray:
    """Kind, level or turn, and sweep of every proposal between two records, ``[proposals, 3]``."""
    plan: list[tuple[int, int, int]] = []
    for sweep in range(refreshes):
        plan += [(REFRESH, level, sweep) for level in range(levels)]
        if shifts and (sweep + 1) % (refreshes // shifts) == 0:
            plan.append((SHIFT, 0, sweep))
        if exchanges and (sweep + 1) % (refreshes // exchanges) == 0:
            plan.append((EXCHANGE, (sweep + 1) // (refreshes // exchanges) - 1, sweep))
    return np.array(plan, np.int32)


def _partners(groups: int, chains: int) -> tf.Tensor:
    """With whom each chain exchanges at even and at odd turns, ``[2, chains]``; or with itself."""
    each = np.arange(groups)
    pairs = []
    for parity in (0, 1):
        other = each + np.where((each - parity) % 2 == 0, 1, -1)
        pairs.append(np.where((other < 0) | (other >= groups), each, other))
    size = chains // groups
    partners = np.stack(pairs).repeat(size, axis=1) * size + np.arange(chains) % size
    return tf.constant(partners, tf.int32)


def _loop(body: Callable[..., tuple], start: tuple, last: Any, most: int) -> tuple:
    return tf.while_loop(
        lambda index, *_: index < last, body, start, maximum_iterations=most, parallel_iterations=1
    )
