"""The two ways in which chains of :mod:`chains` move, behind one interface.

Hamiltonian trajectories, in the bulk of a flow or on its boundary, and refreshed latents in the bulk.
Either is tuned before it is measured, each coupling by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from emergence.holography.flow import FlowProblem
from emergence.holography.hmc import Density, HamiltonianSampler, Observe
from emergence.holography.improved import improved
from emergence.holography.latent_moves import Scattered, Subtrees
from emergence.holography.positions import bulk_positions
from emergence.holography.refresh import Evaluate, Invert, RefreshRun, RefreshSampler
from emergence.holography.targets import Generate, boundary_density, bulk_density, bulk_observables
from emergence.randomness import derive_seed, generator
from emergence.settings import ChainsSettings

JITTER = 0.2
"""Of a tuned step, see :class:`HamiltonianSampler`; a fixed step stays as it is."""

SEGMENT = 25
"""Trajectories of one compiled call: between two of them progress is told."""

Segment = tuple[dict[str, np.ndarray], tf.Tensor]
"""Name → ``[all chains, trajectories]``, ``accepted`` and the observables; and the last state."""


class Moves(Protocol):
    """How chains of several couplings, side by side, move."""

    evaluations: float
    """Of the density, or of its force, in one trajectory."""

    def tune(self, state: tf.Tensor, trajectories: int, seed: int) -> tuple[tf.Tensor, Any]:
        """Chains after ``trajectories``, and what was tuned meanwhile."""

    def segment(self, state: tf.Tensor, tuned: Any, trajectories: int, seed: int) -> Segment:
        """Measured trajectories."""

    def step(self, tuned: Any) -> np.ndarray:
        """Of each coupling: the step ε, or the mean strength of its levels, ``[couplings]``."""


@dataclass
class _Chains:
    """What both ways are made of."""

    entry: ChainsSettings
    problem: FlowProblem
    groups: int
    """Couplings, each with as many chains."""
    generate: Generate
    observables: Observe
    context: tuple[Any, ...]
    """Couplings of every chain ``[chains, 2]``, and the parameters of the flow."""


@dataclass
class HamiltonianMoves(_Chains):
    """Trajectories on the boundary, or in the bulk where ``generate`` makes fields of latents."""

    def __post_init__(self) -> None:
        entry, problem = self.entry, self.problem
        self.evaluations = float(entry.leapfrogs)
        density: Density = boundary_density(problem.theory)
        observe = self.observables
        if entry.space == "bulk":
            density = bulk_density(self.generate, problem.flow.chart.log_prior, problem.theory)
            observe = bulk_observables(self.generate, self.observables)
        else:
            self.context = self.context[:1]
        jitter = JITTER if entry.step is None else 0.0
        # A flow takes minutes to compile, and would be compiled once for each loop.
        fused = entry.space == "boundary"
        self._sampler = HamiltonianSampler(density, observe, entry.leapfrogs, jitter, fused=fused)

    def tune(self, state: tf.Tensor, trajectories: int, seed: int) -> tuple[tf.Tensor, Any]:
        """See :class:`Moves`; a fixed step is only run."""
        entry = self.entry
        if entry.step is not None:
            return self.segment(state, entry.step, trajectories, seed)[1], entry.step
        return self._sampler.tune(
            state,
            trajectories=trajectories,
            seed=derive_seed(seed, "tune"),
            target=entry.target,
            groups=self.groups,
            context=self.context,
        )

    def segment(self, state: tf.Tensor, tuned: Any, trajectories: int, seed: int) -> Segment:
        """See :class:`Moves`."""
        run = self._sampler.run(
            state, step=tuned, trajectories=trajectories, seed=seed, context=self.context
        )
        return run.series | {"accepted": run.accepted}, run.state

    def step(self, tuned: Any) -> np.ndarray:
        """See :class:`Moves`."""
        return np.broadcast_to(np.asarray(tuned, float), self.groups).copy()


@dataclass
class RefreshMoves(_Chains):
    """Latents drawn afresh or moved by steps, a level after the other."""

    def __post_init__(self) -> None:
        levels = bulk_positions(self.entry.size)["level"]
        weigh = weighing(self.problem, self.generate)
        entry, chart = self.entry, self.problem.flow.chart
        moves = (Subtrees if entry.subtrees else Scattered)(levels, chart.move)
        self._sampler = RefreshSampler(
            weigh, moves, self.observables, entry.refreshes, self.groups, entry.exchanges,
            entry.shifts, entry.reflections, latents_of(self.problem) if entry.shifts else None,
        )  # fmt: skip
        self.evaluations = float(self._sampler.proposals)

    def tune(self, state: tf.Tensor, trajectories: int, seed: int) -> tuple[tf.Tensor, Any]:
        """See :class:`Moves`; in calls of the same length as the measured ones, compiled once."""
        strength = self._sampler.first_strength(self.groups)
        length = min(SEGMENT, self.entry.trajectories)
        for index in range(-(-trajectories // length)):
            run = self._sampler.run(
                state, strength=strength, trajectories=length,
                seed=derive_seed(seed, "tune", index), context=self.context,
                tuned=index * length * self.entry.refreshes,
            )  # fmt: skip
            state, strength = run.state, run.strength
        return state, strength

    def segment(self, state: tf.Tensor, tuned: Any, trajectories: int, seed: int) -> Segment:
        """See :class:`Moves`."""
        run = self._sampler.run(
            state, strength=tuned, trajectories=trajectories, seed=seed, context=self.context
        )
        series = run.series | {"accepted": run.accepted}
        if run.fields.shape[-1] == 2:
            series |= self._improved(run, generator(seed, "clusters"))
        # Noise is far more than single precision loses.
        return {name: values.astype(np.float32) for name, values in series.items()}, run.state

    def _improved(self, run: RefreshRun, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Cluster estimators on the recorded fields, ``[all chains, trajectories]``."""
        chains, trajectories = run.accepted.shape
        hoppings = np.repeat(self.context[0].numpy()[:, 0], trajectories)
        fields = run.fields.reshape(chains * trajectories, *run.fields.shape[2:])
        found = improved(fields, hoppings, run.series["bond"].ravel(), rng)
        return {name: values.reshape(chains, trajectories) for name, values in found.items()}

    def step(self, tuned: Any) -> np.ndarray:
        """See :class:`Moves`."""
        return np.asarray(tuned, float).mean(axis=1)


def weighing(problem: FlowProblem, generate: Generate) -> Evaluate:
    """(latents ``[chains, L, L, c]``, couplings, parameters) → ln w = −S − ln q, and the field."""

    def evaluate(latents: tf.Tensor, couplings: tf.Tensor, parameters: Any) -> Any:
        field, log_density = generate(parameters, latents[None], couplings[None])
        action = problem.theory.action(field, couplings[None])
        return (-action - log_density)[0], field[0]

    return evaluate


def latents_of(problem: FlowProblem) -> Invert:
    """(field ``[chains, L, L, components]``, couplings, parameters) → its latents."""

    def invert(field: tf.Tensor, couplings: tf.Tensor, parameters: Any) -> tf.Tensor:
        return problem.flow.invert(parameters, field[None], couplings[None])[0][0]

    return invert
