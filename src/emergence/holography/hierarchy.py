"""The hierarchical flow: levels of decimators and disentanglers between bulk latents and a field.

Level ℓ acts on the (L/2^ℓ)² lattice of every 2^ℓ-th site. From the bulk to the boundary, each 2×2
block takes one site from the level above and three fresh latents through a *decimator*; the blocks
of the *disentangler* are offset by one site and wrap around. Parameters are shared over positions,
not over levels (Hu, Li, Wang & You, arXiv:1903.00804). Couplings of splines may also read sites around
their block (``surroundings``).

A latent stays where its site is: the array of latents ``[seeds, batch, L, L, c]`` holds those of
level ℓ on the sites whose coordinates are multiples of 2^ℓ but not both of 2^(ℓ+1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from emergence.errors import ArtifactError
from emergence.holography.actions import check_side
from emergence.holography.bijectors import (
    Bijector,
    Chart,
    PlaneChart,
    PolarChart,
    RingChart,
    from_blocks,
    to_blocks,
)
from emergence.holography.densities import Phi4Theory, RadialLaw, Theory
from emergence.holography.learnt_prior import PRIOR, LearntPrior
from emergence.holography.real_nvp import RealNVP, run_levels
from emergence.holography.spline import PolarSpline, run_layers
from emergence.updates import Parameters


@dataclass(frozen=True)
class Hierarchy:
    """Architecture of a flow on the L×L torus.

    Raises:
        SettingsError: if L is not a power of two, at least 2.
    """

    side: int
    chart: Chart
    decimator: Bijector
    disentangler: Bijector
    centre: tuple[float, ...] = ()
    """Centre of the couplings (t, μ) that a conditional flow is told; empty: it is told nothing."""
    spread: tuple[float, ...] = ()
    """Half width of each; a zero marks a coupling that does not vary and is not told."""
    prior: LearntPrior | None = None
    """Couplings of the latents, which are trained while the map is not; none: they are independent."""

    def __post_init__(self) -> None:
        check_side(self.side, power_of_two=True)

    @property
    def levels(self) -> int:
        """log2 L."""
        return self.side.bit_length() - 1

    @property
    def contexts(self) -> int:
        """Couplings that the networks are told."""
        return sum(width > 0.0 for width in self.spread)

    def initial_parameters(self, rng: np.random.Generator, seeds: int) -> dict[str, np.ndarray]:
        """The identity: name → float64 ``[seeds, ...]``, ``<level>/<layer>/<name>``.

        Of a learnt prior ``prior/<level>/<name>``.
        """
        start = {
            f"{level}/{layer}/{name}": value
            for level in range(self.levels)
            for layer, bijector in self._layers().items()
            for name, value in bijector.initial_parameters(rng, seeds, self.contexts).items()
        }
        own = self.prior.initial_parameters(seeds) if self.prior else {}
        return start | {f"{PRIOR}{name}": value for name, value in own.items()}

    def generate(
        self, parameters: Parameters, latents: tf.Tensor, couplings: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Bulk to boundary.

        Args:
            latents: ``[seeds, batch, L, L, c]``.
            couplings: (t, μ) of each sample ``[seeds, batch, 2]``.

        Returns:
            field ``[seeds, batch, L, L, components]`` and ln q of it ``[seeds, batch]``.
        """
        context = self.context(couplings)
        log_prior = self.chart.log_prior(latents)
        if self.prior:
            own = _under(parameters, PRIOR)
            latents, change = self.prior.forward(own, latents, couplings[..., 1])
            log_prior -= change
        values = tf.transpose(latents, [0, 4, 2, 3, 1])
        fine, log_det = self._down(self._map_of(parameters), values, context)
        coordinates = tf.transpose(fine, [0, 4, 2, 3, 1])
        field, change = self.chart.to_field(coordinates, couplings[..., 1])
        return field, log_prior - log_det - change

    def invert(
        self, parameters: Parameters, field: tf.Tensor, couplings: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Boundary to bulk, the renormalisation group: latents and ln q of the field."""
        context = self.context(couplings)
        coordinates, boundary = self.chart.from_field(field, couplings[..., 1])
        fine = tf.transpose(coordinates, [0, 4, 2, 3, 1])
        values, log_det = self._up(self._map_of(parameters), fine, context)
        latents = tf.transpose(values, [0, 4, 2, 3, 1])
        if self.prior:
            own = _under(parameters, PRIOR)
            latents, change = self.prior.inverse(own, latents, couplings[..., 1])
            log_det += change
        return latents, self.chart.log_prior(latents) + log_det + boundary

    def log_prior(
        self, parameters: Parameters, latents: tf.Tensor, couplings: tf.Tensor
    ) -> tf.Tensor:
        """ln of the learnt prior where it puts independent latents, ``[seeds, batch]``.

        They stay there: it is differentiable by its couplings alone.
        """
        own, mu = _under(parameters, PRIOR), couplings[..., 1]
        placed = tf.stop_gradient(self.prior.forward(own, latents, mu)[0])
        back, change = self.prior.inverse(own, placed, mu)
        return self.chart.log_prior(back) + change

    def _map_of(self, parameters: Parameters) -> Parameters:
        """What the levels read; with a learnt prior they are not trained any more."""
        if self.prior is None:
            return parameters
        return {name: tf.stop_gradient(value) for name, value in parameters.items()}

    def _down(
        self, parameters: Parameters, values: tf.Tensor, context: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """All levels from the latents ``[seeds, c, L, L, batch]`` to the boundary."""
        if self._one_loop:
            return run_levels(self._all_layers(parameters), values, context, inverse=False)
        log_det = tf.zeros([values.shape[0], values.shape[-1]], values.dtype)
        coarse = values[:, :, :: self.side, :: self.side]
        for level in reversed(range(self.levels)):
            stride = 2**level
            blocks = to_blocks(values[:, :, ::stride, ::stride])
            blocks = tf.concat([coarse[:, None], blocks[:, 1:]], axis=1)
            coarse, change = self._level(parameters, level, from_blocks(blocks), context)
            log_det += change
        return coarse, log_det

    def _up(
        self, parameters: Parameters, fine: tf.Tensor, context: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Inverse of :meth:`_down`."""
        if self._one_loop:
            return run_levels(self._all_layers(parameters), fine, context, inverse=True)
        log_det = tf.zeros([fine.shape[0], fine.shape[-1]], fine.dtype)
        details = []
        for level in range(self.levels):
            fine, change = self._level(parameters, level, fine, context, inverse=True)
            log_det += change
            blocks = to_blocks(fine)
            fine = blocks[:, 0]
            details.append(blocks[:, 1:])
        for detail in reversed(details):
            fine = from_blocks(tf.concat([fine[:, None], detail], axis=1))
        return fine, log_det

    @property
    def _one_loop(self) -> bool:
        """Whether all levels are run by the same code."""
        return isinstance(self.decimator, RealNVP) and self.decimator.joins(self.disentangler)

    def _all_layers(self, parameters: Parameters) -> list[tuple[Bijector, Parameters]]:
        """Decimator and disentangler of each level, from the boundary on, with their parameters."""
        return [
            (bijector, _under(parameters, f"{level}/{layer}/"))
            for level in range(self.levels)
            for layer, bijector in self._layers().items()
        ]

    def _level(
        self,
        parameters: Parameters,
        level: int,
        lattice: tf.Tensor,
        context: tf.Tensor | None,
        inverse: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Decimator and disentangler on the lattice of a level ``[seeds, c, n, n, batch]``, or back."""
        layers = [(b, _under(parameters, f"{level}/{name}/")) for name, b in self._layers().items()]
        first, second = self.decimator, self.disentangler
        if isinstance(first, PolarSpline) and first.joins(second):
            return run_layers(layers, lattice, context, inverse=inverse)
        log_det = tf.zeros([lattice.shape[0], lattice.shape[-1]], lattice.dtype)
        for offset, (bijector, own) in list(enumerate(layers))[:: -1 if inverse else 1]:
            blocks = to_blocks(tf.roll(lattice, [-offset, -offset], axis=[2, 3]))
            run = bijector.inverse if inverse else bijector.forward
            blocks, change = run(own, blocks, context)
            lattice = tf.roll(from_blocks(blocks), [offset, offset], axis=[2, 3])
            log_det += change
        return lattice, log_det

    def check_parameters(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Refuse parameters of another architecture, or that are not finite.

        Raises:
            ArtifactError: naming the first parameter that does not fit.
        """
        expected = self.initial_parameters(np.random.default_rng(0), 1)
        remedy = "Train this flow, or give the architecture that the weights were trained with."
        odd = sorted(expected.keys() ^ parameters.keys())
        if odd:
            raise ArtifactError(
                f"The weights are of another flow: '{odd[0]}' is in one of them only.", remedy
            )
        for name, value in expected.items():
            shape = list(np.shape(parameters[name])[1:])
            if shape != list(value.shape[1:]):
                raise ArtifactError(
                    f"The weights are of another flow: '{name}' has the shape {shape} instead of"
                    f" {list(value.shape[1:])}.",
                    remedy,
                )
            if not np.isfinite(parameters[name]).all():
                raise ArtifactError(
                    f"The weights '{name}' hold a number that is not finite.",
                    "Delete the result and train the flow again.",
                )

    def _layers(self) -> dict[str, Bijector]:
        return {"decimator": self.decimator, "disentangler": self.disentangler}

    def context(self, couplings: tf.Tensor) -> tf.Tensor | None:
        """Standardised couplings ``[seeds, contexts, batch]``."""
        told = [
            (couplings[..., index] - self.centre[index]) / width
            for index, width in enumerate(self.spread)
            if width > 0.0
        ]
        return tf.stack(told, axis=1) if told else None


@dataclass(frozen=True)
class Ranges:
    """Couplings of a conditional flow, uniform in a rectangle; equal ends mark a fixed one."""

    t: tuple[float, float]
    mu: tuple[float, float]

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the rectangle."""
        return (0.5 * sum(self.t), 0.5 * sum(self.mu))

    @property
    def spread(self) -> tuple[float, float]:
        """Half widths of the rectangle."""
        return (0.5 * (self.t[1] - self.t[0]), 0.5 * (self.mu[1] - self.mu[0]))


def spline_flow(
    theory: Phi4Theory,
    side: int,
    *,
    sweeps: int = 1,
    width: int = 32,
    depth: int = 2,
    bins: int = 8,
    surroundings: bool = True,
    ranges: Ranges | None = None,
) -> Hierarchy:
    """The exactly U(1)-symmetric flow of a complex theory.

    Raises:
        SettingsError: if L is not a power of two, or a range of μ leaves the thin rings.
    """
    network = {"width": width, "depth": depth, "bins": bins, "surroundings": surroundings}
    return Hierarchy(
        side,
        PolarChart(_law(theory, ranges)),
        PolarSpline(order=(3, 1, 2), fresh=True, **network),
        PolarSpline(order=(3, 0, 1, 2) * sweeps, **network),
        *_told(ranges),
    )


def real_nvp_flow(
    theory: Theory,
    side: int,
    *,
    couplings: int = 8,
    width: int = 32,
    depth: int = 2,
    radial: bool = True,
    ranges: Ranges | None = None,
) -> Hierarchy:
    """The paper's flow; for complex φ⁴ with the same radial start as the spline flow.

    Args:
        radial: stretch the coordinates to the single-site law; ignored for a real theory.

    Raises:
        SettingsError: if L is not a power of two, or a range of μ leaves the thin rings.
    """
    chart = PlaneChart(theory.components)
    if radial and isinstance(theory, Phi4Theory):
        chart = RingChart(_law(theory, ranges))
    bijectors = [RealNVP(theory.components, couplings, width, depth, seed) for seed in (0, 1)]
    return Hierarchy(side, chart, *bijectors, *_told(ranges))


def with_prior(flow: Hierarchy, reach: int) -> Hierarchy:
    """The same map of a complex field, its latents coupled over ``reach`` cells.

    A polar latent is a complex Gaussian by the single-site law e^{−|ζ|²}, two normal ones as they are.
    """
    polar = isinstance(flow.chart, PolarChart)
    chart = PolarChart(RadialLaw(1.0, 0.0)) if polar else PlaneChart()
    return replace(flow, prior=LearntPrior(flow.side, reach, chart))


def _law(theory: Phi4Theory, ranges: Ranges | None) -> RadialLaw:
    low, high = ranges.mu if ranges else (theory.mu, theory.mu)
    law = RadialLaw(high, theory.lam)
    law.check_range(low, high)
    return law


def _told(ranges: Ranges | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return (ranges.centre, ranges.spread) if ranges else ((), ())


def _under(parameters: Parameters, prefix: str) -> Parameters:
    return {
        name.removeprefix(prefix): value
        for name, value in parameters.items()
        if name.startswith(prefix)
    }
