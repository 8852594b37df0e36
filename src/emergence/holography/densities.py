"""The actions of :mod:`emergence.holography.actions` as TensorFlow functions, and what is subtracted.

A field is ``[seeds, batch, L, L, components]``: (Re φ, Im φ) of a complex field, one component of a
real one. Couplings may differ from sample to sample, so that one conditional flow learns a whole
phase diagram. Deep in the ordered phase S is −400 per site while what matters is of order one:
single precision needs the constant −λρ₀² of the potential's minimum taken out first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField

Couplings = tf.Tensor
"""(t, μ) of every sample, ``[seeds, batch, 2]``; ignored by theories without couplings."""


class Theory(Protocol):
    """What a flow is trained on."""

    components: int
    """Reals per site."""

    def couplings(self, seeds: int, batch: int, dtype: tf.DType) -> Couplings:
        """The theory's own (t, μ) for every sample, ``[seeds, batch, 2]``."""

    def action(self, field: tf.Tensor, couplings: Couplings) -> tf.Tensor:
        """S + constant of fields ``[seeds, batch, L, L, components]``, ``[seeds, batch]``."""

    def constant(self, couplings: Couplings, side: int) -> tf.Tensor:
        """What :meth:`action` adds to S, ``[seeds, batch]``: ln Z of S is ln Z of it plus this."""


def bond_sum(field: tf.Tensor) -> tf.Tensor:
    """Σ_⟨ij⟩ Re φ_i*φ_j over all bonds, ``[seeds, batch]``; on two sites each counts twice."""
    neighbours = tf.roll(field, -1, axis=2) + tf.roll(field, -1, axis=3)
    return tf.reduce_sum(field * neighbours, axis=[2, 3, 4])


@dataclass(frozen=True)
class Phi4Theory:
    """Complex φ⁴ (:class:`ComplexPhi4`), also with couplings of each sample's own.

    ``action`` is −t Σ Re φ_i*φ_j + Σ λ(ρ − ρ₀)² + max(μ, 0)ρ with ρ₀ = max(−μ, 0)/2λ.

    Raises:
        SettingsError: if the theory is unstable.
    """

    t: float
    mu: float
    lam: float
    components: int = 2

    def __post_init__(self) -> None:
        ComplexPhi4(self.t, self.mu, self.lam)

    @classmethod
    def of(cls, action: ComplexPhi4 | FreeField) -> Phi4Theory:
        """The theory of an action; the free field is λ = 0."""
        return cls(action.t, action.mu, getattr(action, "lam", 0.0))

    def couplings(self, seeds: int, batch: int, dtype: tf.DType) -> Couplings:
        """See :class:`Theory`."""
        return tf.broadcast_to(tf.constant([self.t, self.mu], dtype), [seeds, batch, 2])

    def action(self, field: tf.Tensor, couplings: Couplings) -> tf.Tensor:
        """See :class:`Theory`."""
        t, mu = couplings[..., 0], couplings[..., 1]
        density = tf.reduce_sum(field**2, axis=-1)
        mass = mu if self.lam == 0.0 else tf.nn.relu(mu)
        onsite = mass[..., None, None] * density
        if self.lam > 0.0:
            minimum = tf.nn.relu(-mu) / (2.0 * self.lam)
            onsite += self.lam * (density - minimum[..., None, None]) ** 2
        return tf.reduce_sum(onsite, axis=[2, 3]) - t * bond_sum(field)

    def constant(self, couplings: Couplings, side: int) -> tf.Tensor:
        """Nλρ₀², ``[seeds, batch]``."""
        mu = couplings[..., 1]
        if self.lam == 0.0:
            return tf.zeros_like(mu)
        return side * side * tf.nn.relu(-mu) ** 2 / (4.0 * self.lam)


@dataclass(frozen=True)
class IsingTheory:
    """The Ising model as a continuous field (:class:`IsingDualField`)."""

    temperature: float
    margin: float = 0.1
    components: int = 1

    def __post_init__(self) -> None:
        IsingDualField(self.temperature, self.margin)

    def couplings(self, seeds: int, batch: int, dtype: tf.DType) -> Couplings:
        """Zeros: there is nothing to vary."""
        return tf.zeros([seeds, batch, 2], dtype)

    def action(self, field: tf.Tensor, couplings: Couplings) -> tf.Tensor:
        """½ xᵀK⁻¹x − Σ ln cosh x_i, ``[seeds, batch]``."""
        del couplings
        side = field.shape[2]
        modes = fourier_basis(side)
        eigenvalues = IsingDualField(self.temperature, self.margin).eigenvalues(side)
        basis = tf.constant(modes, field.dtype)
        field = field[..., 0]
        # A real basis of both axes diagonalises K: two products of L×L matrices, no FFT.
        amplitude = tf.einsum("ax,snxy,by->snab", basis, field, basis, optimize="optimal")
        quadratic = 0.5 * tf.constant(1.0 / eigenvalues, field.dtype) * amplitude**2
        size = tf.abs(field)
        log_cosh = size + tf.math.log1p(tf.exp(-2.0 * size)) - float(np.log(2.0))
        return tf.reduce_sum(quadratic - log_cosh, axis=[2, 3])

    def constant(self, couplings: Couplings, side: int) -> tf.Tensor:
        """Zero, ``[seeds, batch]``."""
        del side
        return tf.zeros_like(couplings[..., 0])


def fourier_basis(side: int) -> np.ndarray:
    """Orthonormal cas functions (cos kx + sin kx)/√L, ``[L (momentum), L (site)]`` in FFT order.

    cas(kx) and cas(−kx) span the modes ±k, on which a symmetric circulant matrix is a number.
    """
    phase = 2.0 * np.pi * np.outer(np.arange(side), np.arange(side)) / side
    return (np.cos(phase) + np.sin(phase)) / np.sqrt(side)
