"""Variational training of the hierarchical flow from the action alone, and its exact evaluation.

The flow's density q is trained to a theory's exp(−S)/Z by the reverse Kullback–Leibler divergence,
⟨ln q + S⟩_q = KL − ln Z. Whatever KL is left, importance weights w = exp(−S)/q give ln Z and every
expectation without bias in the limit of many samples; of few, what the flow leaves out is missing from
both, and their errors cannot know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from emergence.evaluating import compiled
from emergence.holography.densities import Theory
from emergence.holography.hierarchy import Hierarchy, Ranges
from emergence.randomness import generator
from emergence.settings import FlowStage
from emergence.updates import Parameters

ESTIMATORS = ("path", "reparameterised", "score")


@dataclass(frozen=True)
class FlowProblem:
    """Reverse KL of a flow to a theory, for :func:`emergence.training.train`.

    The *path* gradient follows ln q + S along the samples only (Roeder et al., arXiv:1703.09194;
    Vaitl et al., arXiv:2206.09016): what is dropped has zero mean, and what stays vanishes sample
    by sample when q is exact. It costs one inverse pass.

    The *score* gradient of a learnt prior is ⟨(ln q + S − mean) ∂ln q⟩ (Williams, Machine Learning 8,
    229, 1992). It asks how probable samples are and not how steep the map and the action are there: at
    the critical point its variance is a hundredth of that of the others, and it costs no derivative of
    the map.
    """

    flow: Hierarchy
    theory: Theory
    seeds: int
    seed: int
    dtype: str = "float32"
    estimator: str = "reparameterised"
    symmetrised: bool = False
    """Train ½(q(x) + q(−x)), for theories that are even."""
    ramp: float = 0.0
    """Share of the stage in which t rises from 0; 0: none."""
    ranges: Ranges | None = None
    """Draw each group's couplings from here: a conditional flow."""
    groups: int = 1
    """Parts of the batch that share their couplings; the metrics are means over the parts."""
    steps: int = 0
    """Steps of the stage, from :meth:`for_stage`."""

    metrics = ("log_weight_variance", "effective_fraction")
    """Variance of ln w, and the effective share of the samples, within groups; the loss is the
    free energy ⟨ln q + S⟩ up to the theory's constant."""

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"The estimator is one of {ESTIMATORS}, not '{self.estimator}'.")
        if self.estimator == "score" and not self.flow.prior:
            raise ValueError("The score is that of a learnt prior, which this flow has not.")

    def for_stage(self, stage: FlowStage) -> FlowProblem:
        """The same problem with what the stage says of it."""
        told = {name: getattr(stage, name) for name in ("steps", "estimator", "ramp", "groups")}
        return replace(self, **told)

    def initial_parameters(self, candidates: int = 1) -> dict[str, np.ndarray]:
        """The identity with random hidden layers, ``[seeds · candidates, ...]``."""
        rng = generator(self.seed, "flow")
        start = self.flow.initial_parameters(rng, self.seeds * candidates)
        return {name: value.astype(self.dtype) for name, value in start.items()}

    def draw(self, seed: tf.Tensor, batch: int, window: int) -> tuple[tf.Tensor, ...]:
        """Latents ``[seeds, batch, L, L, c]`` and couplings ``[seeds, batch, 2]``.

        ``window`` is not used: the side belongs to the flow.
        """
        del window
        dtype = tf.as_dtype(self.dtype)
        side = self.flow.side
        parts = tf.random.split(seed, 2)
        latents = self.flow.chart.sample(parts[0], [self.seeds, batch, side, side], dtype)
        couplings = self.theory.couplings(self.seeds, batch, dtype)
        if self.ranges is not None:
            couplings = self._draw_couplings(parts[1], batch, dtype)
        ramp = self.ramp * self.steps
        if ramp > 0.0:
            risen = tf.minimum(tf.cast(seed[1], dtype) / ramp, 1.0)
            couplings *= tf.stack([risen, tf.ones_like(risen)])
        return latents, couplings

    def _draw_couplings(self, seed: tf.Tensor, batch: int, dtype: tf.DType) -> tf.Tensor:
        if batch % self.groups:
            raise ValueError(f"A batch of {batch} cannot be cut into {self.groups} groups.")
        low = tf.constant([self.ranges.t[0], self.ranges.mu[0]], dtype)
        high = tf.constant([self.ranges.t[1], self.ranges.mu[1]], dtype)
        shape = [self.seeds, self.groups, 2]
        couplings = low + (high - low) * tf.random.stateless_uniform(shape, seed, dtype=dtype)
        return tf.repeat(couplings, batch // self.groups, axis=1)

    def objective(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(what to differentiate ``[seeds]``, free energy and metrics ``[seeds, 3]``)."""
        latents, couplings = batch
        field, log_density = self.flow.generate(parameters, latents, couplings)
        if self.estimator == "path":
            slope, log_density = self._slope(parameters, field, couplings)
            loss = tf.reduce_mean(tf.reduce_sum(slope * field, axis=[2, 3, 4]), axis=1)
            free = log_density + self.theory.action(tf.stop_gradient(field), couplings)
        elif self.estimator == "score":
            free = tf.stop_gradient(log_density + self.theory.action(field, couplings))
            loss = _covariance(free, self.flow.log_prior(parameters, latents, couplings))
        else:
            if self.symmetrised:
                log_density = self._symmetrise(parameters, field, log_density, couplings)
            free = log_density + self.theory.action(field, couplings)
            loss = tf.reduce_mean(free, axis=1)
        return loss, self._report(tf.stop_gradient(free))

    def _slope(
        self, parameters: Parameters, field: tf.Tensor, couplings: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """∂(ln q + S)/∂x at the samples, and ln q there, nothing of it differentiable."""
        frozen = {name: tf.stop_gradient(value) for name, value in parameters.items()}
        field = tf.stop_gradient(field)
        with tf.GradientTape() as tape:
            tape.watch(field)
            log_density = self.log_density(frozen, field, couplings)
            free = log_density + self.theory.action(field, couplings)
        return tf.stop_gradient(tape.gradient(free, field)), tf.stop_gradient(log_density)

    def log_density(
        self, parameters: Parameters, field: tf.Tensor, couplings: tf.Tensor
    ) -> tf.Tensor:
        """ln q of given fields ``[seeds, batch]``, symmetrised if that is what is trained."""
        log_density = self.flow.invert(parameters, field, couplings)[1]
        if self.symmetrised:
            return self._symmetrise(parameters, field, log_density, couplings)
        return log_density

    def _symmetrise(
        self, parameters: Parameters, field: tf.Tensor, log_density: tf.Tensor, couplings: tf.Tensor
    ) -> tf.Tensor:
        """ln ½(q(x) + q(−x)); S is even, so samples of q itself serve as those of the mixture."""
        mirrored = self.flow.invert(parameters, -field, couplings)[1]
        return symmetrised(log_density, mirrored)

    def _report(self, free: tf.Tensor) -> tf.Tensor:
        parts = tf.reshape(free, [free.shape[0], self.groups, -1])
        variance = tf.math.reduce_variance(parts, axis=2)
        weight = tf.exp(tf.reduce_min(parts, axis=2, keepdims=True) - parts)
        mean, square = tf.reduce_mean(weight, axis=2), tf.reduce_mean(weight**2, axis=2)
        columns = [tf.reduce_mean(free, axis=1)]
        columns += [tf.reduce_mean(value, axis=1) for value in (variance, mean**2 / square)]
        return tf.stack(columns, axis=1)


def _covariance(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Of samples ``[seeds, batch]``, without bias, ``[seeds]``."""
    centred = one - tf.reduce_mean(one, axis=1, keepdims=True)
    return tf.reduce_sum(centred * other, axis=1) / (one.shape[1] - 1)


def symmetrised(log_density: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """ln ½(q(x) + q(−x)) from both logarithms, elementwise."""
    larger = tf.maximum(log_density, mirrored)
    gap = tf.abs(log_density - mirrored)
    return larger + tf.math.log1p(tf.exp(-gap)) - float(np.log(2.0))


def compile_weigher(
    problem: FlowProblem, seeds: int, chunk: int
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """A compiled call: (parameters, couplings, seed ``[2]``) → field, ln w and ln q of new samples."""
    side = problem.flow.side

    @compiled
    def weigh(
        parameters: Parameters, couplings: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        shape = [seeds, chunk, side, side]
        latents = problem.flow.chart.sample(seed, shape, couplings.dtype)
        field, log_density = problem.flow.generate(parameters, latents, couplings)
        if problem.symmetrised:
            mirrored = problem.flow.invert(parameters, -field, couplings)[1]
            log_density = symmetrised(log_density, mirrored)
        constant = problem.theory.constant(couplings, side)
        log_weights = constant - problem.theory.action(field, couplings) - log_density
        return field, log_weights, log_density

    return weigh
