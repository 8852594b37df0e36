"""A trained flow as a map between boundary fields and bulk latents, NumPy to NumPy.

It is evaluated in the precision of final numbers (:func:`emergence.evaluating.dtype`), double by default;
what it returns is in float64, so that statistics are.

The statistics of the bulk ask for one variable per latent. It is the **field that the latent would
be at hopping zero**: the chart's own image of it. For polar splines that is r(s)e^{iθ} with the
radius of the single-site law. A rotation of the boundary turns all θ alike, so these numbers are
exactly circular, ⟨ζζ⟩ = 0, and their Gaussian estimator is −ln(1 − |corr|²). For a thin ring they
are phasors: if two angles are weakly coupled, p(Δ) ∝ 1 + 2a cos Δ, then corr = a and the mutual
information is a² + O(a⁴), which that estimator gives; for the free field they are complex Gaussians.
What it cannot see, s against s and higher harmonics, the nearest-neighbour estimator of the angles
and the correlations of s tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import tensorflow as tf

from emergence.evaluating import compiled, dtype
from emergence.holography.bijectors import PolarChart, from_blocks, to_blocks
from emergence.holography.bulk import BulkTable
from emergence.holography.hierarchy import Hierarchy
from emergence.holography.positions import bulk_positions


class FlowMap:
    """One flow of an arm (its first seed) at one point of its couplings.

    Args:
        parameters: ``[seeds, ...]`` each.
        point: (t, μ) of the boundary.
        chunk: fields of one compiled call, which bounds the memory.

    Raises:
        ArtifactError: the parameters are of another architecture or not finite.
    """

    def __init__(
        self,
        flow: Hierarchy,
        parameters: Mapping[str, np.ndarray],
        point: tuple[float, float],
        chunk: int,
    ) -> None:
        flow.check_parameters(parameters)
        self.flow, self.chunk, self._point = flow, chunk, point
        self.table = BulkTable.of(bulk_positions(flow.side))
        self._dtype = dtype()
        self._weights = {
            name: tf.constant(value[:1], self._dtype) for name, value in parameters.items()
        }
        self._invert = compiled(self._inverted)
        self._step = compiled(self._stepped)
        self._generate = compiled(self._generated)

    @property
    def circular(self) -> bool:
        """Whether the flow turns with the field, so that its latents are circular."""
        return isinstance(self.flow.chart, PolarChart)

    def invert(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boundary to bulk.

        Args:
            field: complex ``[samples, L, L]``.

        Returns:
            coordinates of the latents ``[samples, L, L, 2]``, and ln q of the fields ``[samples]``.
        """
        latents, log_density = self._in_chunks(self._invert, as_reals(field))
        return latents, log_density

    def first_step(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first layer of disentanglers and the first decimators on their own.

        Returns:
            what the decimators act on, complex ``[samples, L, L]``, and the coarse field that they
            pass on, complex ``[samples, L/2, L/2]``.
        """
        turned, coarse = self._in_chunks(self._step, as_reals(field))
        return as_complex(turned), as_complex(coarse)

    def generate(self, coordinates: np.ndarray) -> np.ndarray:
        """Bulk to boundary: ``[samples, L, L, 2]`` to complex ``[samples, L, L]``."""
        return as_complex(self._in_chunks(self._generate, coordinates)[0])

    def variables(self, coordinates: np.ndarray) -> np.ndarray:
        """The latents as fields at hopping zero, complex ``[samples, N]``."""
        samples, side = coordinates.shape[:2]
        mu = tf.fill([1, samples], tf.constant(self._point[1], self._dtype))
        field = self.flow.chart.to_field(tf.constant(coordinates[None], self._dtype), mu)[0]
        return as_complex(_double(field)[0]).reshape(samples, side * side)

    def sample(self, seed: int, samples: int) -> np.ndarray:
        """Prior draws of the latents' coordinates, ``[samples, L, L, 2]``."""
        shape = [samples, self.flow.side, self.flow.side]
        key = tf.constant([seed, 0], tf.int32)
        return _double(self.flow.chart.sample(key, shape, self._dtype))

    def coarse_field(self, coordinates: np.ndarray, level: int) -> np.ndarray:
        """The field that level ``level`` acts on, complex ``[samples, n, n]``, n = L/2^level.

        What the levels from there up make of their own latents is a flow on the smaller torus.
        """
        stride = 2**level
        smaller = replace(self.flow, side=self.flow.side // stride)
        weights = {
            f"{int(name.split('/')[0]) - level}/{name.split('/', 1)[1]}": value
            for name, value in self._weights.items()
            if int(name.split("/")[0]) >= level
        }
        latents = tf.constant(coordinates[None, :, ::stride, ::stride], self._dtype)
        couplings = self._couplings(len(coordinates))
        return as_complex(_double(smaller.generate(weights, latents, couplings)[0])[0])

    def _couplings(self, samples: int) -> tf.Tensor:
        return tf.broadcast_to(tf.constant(self._point, self._dtype), [1, samples, 2])

    def _inverted(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        latents, log_density = self.flow.invert(
            self._weights, field[None], self._couplings(self.chunk)
        )
        return latents[0], log_density[0]

    def _stepped(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        flow, couplings = self.flow, self._couplings(self.chunk)
        context, mu = flow.context(couplings), couplings[..., 1]

        def as_field(lattice: tf.Tensor) -> tf.Tensor:
            return flow.chart.to_field(tf.transpose(lattice, [0, 4, 2, 3, 1]), mu)[0][0]

        coordinates = flow.chart.from_field(field[None], mu)[0]
        fine = tf.transpose(coordinates, [0, 4, 2, 3, 1])
        blocks = to_blocks(tf.roll(fine, [-1, -1], axis=[2, 3]))
        blocks, _ = flow.disentangler.inverse(self._of("0/disentangler/"), blocks, context)
        turned = tf.roll(from_blocks(blocks), [1, 1], axis=[2, 3])
        blocks, _ = flow.decimator.inverse(self._of("0/decimator/"), to_blocks(turned), context)
        return as_field(turned), as_field(blocks[:, 0])

    def _of(self, prefix: str) -> dict[str, tf.Tensor]:
        return {
            name.removeprefix(prefix): value
            for name, value in self._weights.items()
            if name.startswith(prefix)
        }

    def _generated(self, coordinates: tf.Tensor) -> tuple[tf.Tensor, ...]:
        field, _ = self.flow.generate(self._weights, coordinates[None], self._couplings(self.chunk))
        return (field[0],)

    def _in_chunks(self, call: tf.types.experimental.GenericFunction, values: np.ndarray) -> list:
        """Chunks of one size, so that one compilation serves; the last is filled up."""
        samples = len(values)
        filled = np.resize(values, (-(-samples // self.chunk) * self.chunk, *values.shape[1:]))
        chunks = (filled[at : at + self.chunk] for at in range(0, len(filled), self.chunk))
        parts = [
            [_double(part) for part in call(tf.constant(each, self._dtype))] for each in chunks
        ]
        return [np.concatenate(each)[:samples] for each in zip(*parts, strict=True)]


def _double(values: tf.Tensor) -> np.ndarray:
    return values.numpy().astype(np.float64, copy=False)


def as_reals(field: np.ndarray) -> np.ndarray:
    """Complex ``[...]`` to float64 ``[..., 2]``."""
    return np.stack([field.real, field.imag], axis=-1)


def as_complex(values: np.ndarray) -> np.ndarray:
    """``[..., 2]`` to complex ``[...]``."""
    return values[..., 0] + 1j * values[..., 1]
