"""Chains in the bulk of a flow or on its boundary, all couplings side by side.

Chains of every coupling run in one compiled batch, each coupling tuned by itself, and move by
Hamiltonian trajectories or, in the bulk, by refreshed latents. They
start from samples of the flow in both spaces, move towards equilibrium while the moves are tuned, and
are then measured. From a *cold start* both spaces begin at the same field, the most ordered one: all
φ equal with |φ|² = the mean-field density, or x = Ks of all Ising spins up; in the bulk its latents
are those that the flow gives it.

With a symmetrised flow the bulk's density has ½(q(x) + q(−x)) in place of q: means of what a change
of sign leaves alone are then exact, and the chain need not cross from one sign to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from emergence import devices
from emergence.artifacts import Arrays, sha256
from emergence.holography.actions import IsingDualField
from emergence.holography.arms import problem_of
from emergence.holography.chain_moves import SEGMENT, HamiltonianMoves, Moves, RefreshMoves
from emergence.holography.chain_records import (
    Beforehand,
    Records,
    Store,
    identity_of,
    read_beforehand,
    require_theory,
)
from emergence.holography.chain_timing import time_of_trajectory, timing_of
from emergence.holography.flow import FlowProblem, symmetrised
from emergence.holography.identity import study_of
from emergence.holography.points import (
    Point,
    action_of,
    cold_density,
    points_for,
)
from emergence.holography.reference import blocks_of
from emergence.holography.targets import axis_correlations, field_observables
from emergence.progress import Progress
from emergence.randomness import derive_seed
from emergence.settings import ChainsSettings, Settings, TheorySettings
from emergence.updates import Parameters


def run(
    settings: Settings,
    name: str,
    parameters: Arrays,
    checkpoint: Path | None = None,
    before: Path | None = None,
) -> tuple[Arrays, dict[str, float]]:
    """One entry of ``chains``, with the first of the flow's seeds.

    Args:
        parameters: of the flow, ``[seeds, ...]``.
        checkpoint: file that is written every ``checkpoint_seconds``, and that a rerun goes on from.
        before: arrays of a run drawn beforehand, which this one continues, untuned.

    Returns:
        Arrays, and times (:func:`.timing_of`). Arrays: ``t``, ``mu``, ``step``, ``acceptance``
        ``[points]``; ``tuned``, by which the chains move; ``segments``, how many were drawn so far;
        ``field`` ``[points, chains, L, L, c]``, where they ended; each primary quantity
        ``[points, chains, trajectories]``, and ``cold_<name>`` of the same from the cold start; for
        complex fields ``correlation`` ``[points, blocks, L/2 + 1]``, the mean along the axes of each
        block of trajectories.

    Raises:
        ArtifactError: the parameters are of another architecture, or not finite; the records drawn
            beforehand are missing, corrupt or of another run; the checkpoint cannot be written.
        DivergenceError: a density or a gradient is not finite where the chains start.
    """
    chosen = settings.holography
    entry = chosen.chains[name]
    batch, parameters = prepared(settings, name, parameters)
    points, told, problem = batch.points, batch.told, batch.problem
    seed = derive_seed(settings.seed, "holography", "chains", name)
    depends = {
        "study": study_of(settings, entry),
        "theory": told.model_dump(mode="json"),
        "flow": chosen.flows[entry.flow].model_dump(mode="json", exclude={"sizes"}),
        "before": sha256(before) if before else None,
    }
    store = Store(checkpoint, identity_of(depends, parameters), settings.checkpoint_seconds)
    shape = (entry.size, entry.size, problem.flow.chart.components)
    known = read_beforehand(before, np.array(points), entry, shape) if before else None
    if before:
        require_theory(before, chosen.flows[entry.flow].theory, depends["theory"])
    with Progress(f"chains {name}", entry.tuning + entry.trajectories + entry.cold) as progress:
        arrays = batch.measure(seed, progress, store, known)
    arrays |= {
        "t": np.array([point[0] for point in points]),
        "mu": np.array([point[1] for point in points]),
    }
    timing = timing_of(batch, batch.seconds_per_trajectory)
    return known.joined(arrays) if known else arrays, timing


def time_of(
    settings: Settings, name: str, parameters: Arrays, tuned: np.ndarray
) -> dict[str, float]:
    """The timing of an entry of ``chains`` on this machine, whose records were drawn before.

    Args:
        parameters: as of :func:`run`.
        tuned: of its records.

    Raises:
        ArtifactError: the parameters are of another architecture, or not finite.
    """
    batch, _ = prepared(settings, name, parameters)
    return timing_of(batch, time_of_trajectory(batch, tuned))


def prepared(settings: Settings, name: str, parameters: Arrays) -> tuple[Batch, Arrays]:
    """The chains of an entry, not moved yet, and the parameters of the flow they move in."""
    chosen = settings.holography
    entry = chosen.chains[name]
    problem = problem_of(settings, entry.flow, entry.size)
    problem = replace(problem, dtype=entry.precision or problem.dtype)
    problem.flow.check_parameters(parameters)
    if entry.untrained:
        parameters = problem.initial_parameters()
    told = chosen.theories[chosen.flows[entry.flow].theory]
    first = {key: tf.constant(value[:1], problem.dtype) for key, value in parameters.items()}
    return Batch(entry, problem, told, points_for(chosen, entry), first), parameters


def ordered_field(told: TheorySettings, points: list[Point], side: int) -> np.ndarray:
    """Where chains start cold, ``[points, L, L, components]``."""
    fields = []
    for point in points:
        action = action_of(told, point)
        if isinstance(action, IsingDualField):
            # K is circulant: of all spins up it makes its eigenvalue at zero momentum.
            fields.append(np.full((side, side, 1), action.eigenvalues(side)[0, 0]))
            continue
        amplitude = np.sqrt(cold_density(action))
        fields.append(np.broadcast_to([amplitude, 0.0], (side, side, 2)))
    return np.stack(fields)


@dataclass
class Batch:
    """Chains of every point in one batch: those of a point follow each other."""

    entry: ChainsSettings
    problem: FlowProblem
    told: TheorySettings
    points: list[Point]
    parameters: Parameters
    seconds_per_trajectory: float = np.nan
    """Of one trajectory of one chain, in the fastest segment, once measured; without what compiles."""

    def __post_init__(self) -> None:
        entry, problem = self.entry, self.problem
        self._couplings = tf.repeat(tf.constant(self.points, problem.dtype), entry.chains, axis=0)
        context = (self._couplings, self.parameters)
        kind = HamiltonianMoves if entry.refreshes is None else RefreshMoves
        generate = weighed_generator(problem)
        self.moves: Moves = kind(entry, problem, len(self.points), generate, observables, context)
        self._first = True

    @property
    def _length(self) -> int:
        return min(SEGMENT, self.entry.trajectories)

    def measure(
        self, seed: int, progress: Progress, store: Store, before: Beforehand | None = None
    ) -> Arrays:
        """Tune, measure and start cold; the arrays of :func:`run` but for the couplings."""
        entry = self.entry
        records = store.resume()
        if records:
            drawn = sum(len(found) for found in records.series.values())
            progress.skip(entry.tuning + drawn * self._length)
        else:
            records = self._begin(seed, progress, before)
        # Seeds of segments that were drawn beforehand are not taken twice.
        passed = before.segments if before else 0
        self._measure(records, "run", entry.trajectories, seed, progress, store, passed)
        found = records.arrays("run", entry.trajectories)
        series = {key: value for key, value in found.items() if not key.startswith("correlation")}
        arrays = {key: self._by_point(value) for key, value in series.items()}
        arrays["acceptance"] = arrays.pop("accepted").mean(axis=(1, 2))
        arrays |= {"step": self.moves.step(records.tuned), "tuned": records.tuned}
        arrays["segments"] = np.array(passed + len(records.series["run"]))
        field = self._fields(records.states["run"]).astype(np.float32)
        arrays["field"] = self._by_point(field)
        if correlations := [value for key, value in found.items() if key not in series]:
            along = self._by_point(np.stack(correlations, axis=-1))
            arrays["correlation"] = np.stack([blocks_of(each) for each in along])
        if entry.cold:
            records.states.setdefault("cold", self.cold_start().numpy())
            self._measure(records, "cold", entry.cold, seed, progress, store)
            cold = records.arrays("cold", entry.cold)
            for key in set(series) - {"accepted"}:
                arrays[f"cold_{key}"] = self._by_point(cold[key])
        while not records.times:  # the first segment of a process compiles and is not timed
            self._segment(records, dict(records.states), "run", derive_seed(seed, "time"))
        fastest = min(records.times) / (self._length * len(self._couplings))
        self.seconds_per_trajectory = fastest
        return dict(sorted(arrays.items()))

    def _begin(self, seed: int, progress: Progress, before: Beforehand | None) -> Records:
        """Chains that are tuned, or those of a run drawn beforehand."""
        if before:
            state = self._state_of(tf.constant(before.fields, self.problem.dtype))
            return Records({"run": state.numpy()}, before.arrays["tuned"])
        state = self.start(tf.constant([derive_seed(seed, "start"), 0], tf.int32))
        state, tuned = self.moves.tune(state, self.entry.tuning, seed)
        progress.advance(self.entry.tuning, "tuned")
        return Records({"run": state.numpy()}, np.atleast_1d(tuned))

    def start(self, seed: tf.Tensor) -> tf.Tensor:
        """Samples of the flow, one for every chain, or their latents."""
        problem, side = self.problem, self.entry.size
        shape = [1, len(self._couplings), side, side]
        latents = problem.flow.chart.sample(seed, shape, problem.dtype)
        if self.entry.space == "bulk":
            return latents[0]
        return problem.flow.generate(self.parameters, latents, self._couplings[None])[0][0]

    def cold_start(self) -> tf.Tensor:
        """The ordered field for every chain, or its latents."""
        field = ordered_field(self.told, self.points, self.entry.size)
        field = tf.repeat(tf.constant(field, self.problem.dtype), self.entry.chains, axis=0)
        return self._state_of(field)

    def _state_of(self, field: tf.Tensor) -> tf.Tensor:
        """Fields of every chain as chains keep them: in the bulk, their latents."""
        if self.entry.space == "boundary":
            return field
        return self.problem.flow.invert(self.parameters, field[None], self._couplings[None])[0][0]

    def _fields(self, state: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`_state_of`."""
        if self.entry.space == "boundary":
            return state
        latents = tf.constant(state, self.problem.dtype)[None]
        made, _ = self.problem.flow.generate(self.parameters, latents, self._couplings[None])
        return made[0].numpy()

    def _measure(
        self,
        records: Records,
        part: str,
        trajectories: int,
        seed: int,
        progress: Progress,
        store: Store,
        passed: int = 0,
    ) -> None:
        """Draw the segments of a part that are not among the records yet."""
        entry, segments = self.entry, records.series[part]
        before = entry.tuning + (entry.trajectories if part == "cold" else 0)
        for index in range(len(segments), -(-trajectories // self._length)):
            key = derive_seed(seed, part, passed + index)
            segments.append(self._segment(records, records.states, part, key))
            store.keep(records)
            done = before + min((index + 1) * self._length, trajectories)
            progress.advance(done, f"acceptance {segments[-1]['accepted'].mean():.2f}")

    def _segment(self, records: Records, states: Arrays, part: str, seed: int) -> Arrays:
        """Draw one segment and leave where it ended in ``states``."""
        began = devices.clock()
        state = tf.constant(states[part], self.problem.dtype)
        series, state = self.moves.segment(state, records.tuned, self._length, seed)
        states[part] = state.numpy()
        if not self._first:
            records.times.append(devices.clock() - began)
        self._first = False
        return series

    def _by_point(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(len(self.points), self.entry.chains, *values.shape[1:])


def weighed_generator(problem: FlowProblem) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """(parameters, latents, couplings) → field and ln q of it, symmetrised if that was trained."""

    def generate(
        parameters: Parameters, latents: tf.Tensor, couplings: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        field, log_density = problem.flow.generate(parameters, latents, couplings)
        if problem.symmetrised:
            mirrored = problem.flow.invert(parameters, -field, couplings)[1]
            log_density = symmetrised(log_density, mirrored)
        return field, log_density

    return generate


def observables(field: tf.Tensor, couplings: tf.Tensor) -> dict[str, tf.Tensor]:
    """Primary quantities of fields, and of complex ones the correlation function along the axes."""
    found = field_observables(field, couplings)
    if field.shape[-1] == 1:
        return found
    along = axis_correlations(field)
    # Padded, so that the names in order are the distances in order.
    return found | {f"correlation_{r:03d}": along[:, r] for r in range(along.shape[1])}
