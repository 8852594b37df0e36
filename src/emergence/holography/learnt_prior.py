"""The second training stage: a prior of the bulk that is trained while the map stays as it is.

Independent latents become the complex Gaussians ε that :func:`.bulk_prior.gaussian_latents` makes of
them, and from the coarsest level on

    ζ_ℓ = e^{K_ℓ} ∗ ε_ℓ + W_ℓ ∗ ζ_{ℓ+1},

with a Hermitian K between the cells of a level and a W that tells each of them what the cells above
it hold, both real, the same at every cell and of a few cells' reach. So ζ has the density
e^{−ζ†C⁻¹ζ}/(π^N det C), invariant under U(1) and under translations by cells; ln det of the Gaussian
is the trace of 2K over all cells, and nothing of W. Then ζ becomes latents again, which enter the map.
The couplings follow from the loss of the flow itself, the reverse KL to the theory, by the one training
loop: from the action alone, with as many samples as one likes, where :mod:`.bulk_prior` fits the same
family to true ones. Cells of two levels that are no neighbours are coupled through those in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emergence.holography.bijectors import Chart
from emergence.updates import Parameters

PRIOR = "prior/"
"""What the names of its parameters begin with among those of a flow."""

FORWARD, BACK = 1.0, -1.0

HALVINGS, ORDER = 4, 12
"""Of the exponential of a matrix: a norm of 4 is halved to ¼, whose series then ends at 1e-17."""


@dataclass(frozen=True)
class LearntPrior:
    """Linear couplings of the latents of a flow, the identity at the start of a training."""

    side: int
    """Of the torus, a power of two."""
    reach: int
    """Cells that a coupling reaches, along each axis."""
    chart: Chart
    """How latents are a complex Gaussian, (Re ε, Im ε) up to a factor: its field is that."""

    @property
    def levels(self) -> int:
        """log2 L."""
        return self.side.bit_length() - 1

    def members(self, level: int) -> int:
        """Latents of a cell: three, and one more where there is no level above."""
        return 3 + (level == self.levels - 1)

    def initial_parameters(self, seeds: int) -> dict[str, np.ndarray]:
        """No couplings: ``<level>/within`` and ``<level>/above``, float64.

        ``[seeds, offsets, offsets, latents, latents]``: what a latent takes of another one, by the
        offset of its cell from the other's.
        """
        found = {}
        for level in range(self.levels):
            own = self.members(level)
            shape = [len(self._offsets(level, "within"))] * 2
            found[f"{level}/within"] = np.zeros([seeds, *shape, own, own])
            if level + 1 < self.levels:
                shape = [len(self._offsets(level, "above"))] * 2
                found[f"{level}/above"] = np.zeros([seeds, *shape, own, self.members(level + 1)])
        return found

    def forward(
        self, parameters: Parameters, latents: tf.Tensor, mu: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """From independent latents to coupled ones.

        Args:
            latents: ``[seeds, batch, L, L, 2]``.
            mu: of each sample ``[seeds, batch]``, which the chart asks for.

        Returns:
            Latents of the same shape, and ln |Jacobian| of each sample ``[seeds, batch]``.
        """
        return self._run(parameters, latents, mu, FORWARD)

    def inverse(
        self, parameters: Parameters, latents: tf.Tensor, mu: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Inverse of :meth:`forward`, with its own ln |Jacobian| ``[seeds, batch]``."""
        return self._run(parameters, latents, mu, BACK)

    def _run(
        self, parameters: Parameters, latents: tf.Tensor, mu: tf.Tensor, way: float
    ) -> tuple[tf.Tensor, tf.Tensor]:
        plane, into = self.chart.to_field(latents, mu)
        zeta = self._couple(parameters, tf.complex(plane[..., 0], plane[..., 1]), way)
        plane = tf.stack([tf.math.real(zeta), tf.math.imag(zeta)], axis=-1)
        coupled, back = self.chart.from_field(plane, mu)
        return coupled, into + way * self._log_determinant(parameters)[:, None] + back

    def _log_determinant(self, parameters: Parameters) -> tf.Tensor:
        """ln |det| of the real map of Re ζ and Im ζ, ``[seeds]``."""
        # The first offset is none: what a latent has with itself.
        traces = [
            self._cells(level) ** 2 * tf.linalg.trace(parameters[f"{level}/within"][:, 0, 0])
            for level in range(self.levels)
        ]
        return 2.0 * tf.add_n(traces)

    def _couple(self, parameters: Parameters, zeta: tf.Tensor, way: float) -> tf.Tensor:
        """ε → ζ or back, complex ``[seeds, batch, L, L]``, level by level in momentum space.

        Only what changes goes there, so that no couplings are the identity to the last bit.
        """
        found: list[tf.Tensor] = []
        coarser = None
        for level, cells in reversed(list(enumerate(cells_of(zeta)))):
            given = tf.signal.fft2d(cells)
            within = self._kernel(parameters, level, "within")
            half = 0.5 * (within + tf.linalg.adjoint(within))
            told = tf.zeros_like(given)
            if coarser is not None:
                # Momenta of the cells above, each on the first of the four that lie below it.
                lower = tf.tile(coarser, [1, 1, 1, 2, 2])
                told = _times(self._kernel(parameters, level, "above"), lower)
            own = given if way == FORWARD else given - told
            change = way * told + _times(exponential_less_one(way * half), own)
            found.append(cells + tf.signal.ifft2d(change))
            coarser = given + change if way == FORWARD else given
        return lattice_of(found[::-1])

    def _kernel(self, parameters: Parameters, level: int, which: str) -> tf.Tensor:
        """Couplings in momentum space, complex ``[seeds, n, n, latents, latents]``."""
        kernel = parameters[f"{level}/{which}"]
        n = self._cells(level)
        waves = np.exp(-2j * np.pi / n * np.outer(np.arange(n), self._offsets(level, which)))
        waves = tf.constant(waves, _complex(kernel.dtype))
        return tf.einsum("xi,yj,sijab->sxyab", waves, waves, tf.cast(kernel, waves.dtype))

    def _cells(self, level: int) -> int:
        """Along an axis."""
        return self.side // 2 ** (level + 1)

    def _offsets(self, level: int, which: str) -> list[int]:
        """Along an axis of the torus of a level, each once, the first of them none.

        From a cell above they are counted from the first of the two cells that lie below it.
        """
        n, last = self._cells(level), self.reach + (which == "above")
        every = sorted(range(-self.reach, last + 1), key=abs)
        return list(dict.fromkeys(offset % n for offset in every))


def of_prior(name: str) -> bool:
    """Whether a parameter of a flow is one of a learnt prior."""
    return name.startswith(PRIOR)


def exponential_less_one(matrix: tf.Tensor) -> tf.Tensor:
    """e^M − 1 ``[..., v, v]`` by its series, of M halved so often and the result doubled as often."""
    small = matrix / 2.0**HALVINGS
    result = small / ORDER
    for order in range(ORDER - 1, 0, -1):
        result = (small + tf.matmul(small, result)) / order
    for _ in range(HALVINGS):
        result = 2.0 * result + tf.matmul(result, result)
    return result


def cells_of(lattice: tf.Tensor) -> list[tf.Tensor]:
    """Latents ``[seeds, batch, L, L]`` by level, ``[seeds, batch, latents, n, n]``."""
    found = []
    while lattice.shape[-1] > 1:
        sites = [lattice[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
        lattice = sites[0]
        found.append(tf.stack(sites[lattice.shape[-1] > 1 :], axis=2))
    return found


def lattice_of(cells: Sequence[tf.Tensor]) -> tf.Tensor:
    """Inverse of :func:`cells_of`."""
    lattice = None
    for own in reversed(cells):
        own = own if lattice is None else tf.concat([lattice[:, :, None], own], axis=2)
        seeds, batch, _, n, _ = own.shape
        grid = tf.reshape(own, [seeds, batch, 2, 2, n, n])
        lattice = tf.reshape(tf.transpose(grid, [0, 1, 4, 2, 5, 3]), [seeds, batch, 2 * n, 2 * n])
    return lattice


def _times(kernel: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Momentum by momentum: ``[seeds, n, n, v, w]`` times ``[seeds, batch, w, n, n]``."""
    return tf.einsum("sxyab,snbxy->snaxy", kernel, cells)


def _complex(dtype: tf.DType) -> tf.DType:
    return tf.complex128 if dtype == tf.float64 else tf.complex64
