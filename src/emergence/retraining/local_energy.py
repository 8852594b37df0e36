"""Local energies E(s) = Σ_s' ⟨s|H|s'⟩ ψ(s')/ψ(s), from the ratios of a wave function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.retraining.models import Model
from emergence.retraining.ordering import Moves
from emergence.retraining.wavefunction import Ratios


class Terms(NamedTuple):
    """What each term of a Hamiltonian contributes, ``[seeds, terms, batch]``."""

    diagonal: tf.Tensor
    """Of each bond."""
    moving: tf.Tensor
    """Of each move, real part."""
    imaginary: tf.Tensor | None
    """Of each move; None where ψ has no phase."""


@dataclass(frozen=True)
class Hamiltonian:
    """A model's matrix elements, ready for samples.

    ``marshall`` rotates the spins of one sublattice by π about z: swaps across sublattices change
    sign, and the ground state of an unfrustrated antiferromagnet becomes positive.

    Raises:
        SettingsError: ``marshall`` on a lattice without two sublattices.
    """

    model: Model
    marshall: bool = False

    def __post_init__(self) -> None:
        if self.marshall and not self.model.lattice.bipartite:
            raise SettingsError(
                f"The {self.model.lattice} has no two sublattices, so no Marshall sign.",
                "Choose an even size, open boundaries, or the learnt phase.",
            )

    @cached_property
    def moves(self) -> Moves:
        """The moves that its off-diagonal elements make."""
        return Moves(self.model)

    def terms(self, spins: tf.Tensor, ratios: Ratios) -> Terms:
        """Contributions to the local energies of samples ``[seeds, batch, sites]``."""
        by_site = tf.transpose(spins, [0, 2, 1])
        dtype, moves = spins.dtype, self.moves
        first, second = self.model.bonds.pairs.T
        parallel = tf.gather(by_site, first, axis=1) * tf.gather(by_site, second, axis=1)
        diagonal = tf.constant(self.model.diagonal, dtype)[:, None] * parallel
        sign = np.where(moves.crossing & self.marshall, -1.0, 1.0)
        weight = tf.constant(moves.elements * sign, dtype)[:, None] * tf.exp(ratios.modulus)
        if self.model.conserves_magnetisation:
            # Moves are the bonds, in their order; parallel spins cannot be swapped.
            weight = tf.where(parallel < 0, weight, tf.zeros([], dtype))
        if ratios.phase is None:
            return Terms(diagonal, weight, None)
        return Terms(diagonal, weight * tf.cos(ratios.phase), weight * tf.sin(ratios.phase))

    def local_energy(self, spins: tf.Tensor, ratios: Ratios) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Real and imaginary part, ``[seeds, batch]``."""
        terms = self.terms(spins, ratios)
        real = tf.reduce_sum(terms.diagonal, axis=1) + tf.reduce_sum(terms.moving, axis=1)
        imaginary = None if terms.imaginary is None else tf.reduce_sum(terms.imaginary, axis=1)
        return real, imaginary
