"""The knowledge distiller: an autoencoder in time that compresses the translator's hidden states.

The encoder E reads the hidden state at the start of the window only; latent variables g then roll
forward driven by V_i, and one decoder D reconstructs every hidden state (arXiv:1901.11103). The
latent dimension is the bottleneck; what the update of the latents becomes is the question.

Linear cell: g_i = W(V_i) g_{i−1}, W polynomial in V. General cell: a residual two-layer network, the
contrasting arm. Decoders: linear D g; quadratic, Σ_ab D_ab g_a g_b and nothing else, which builds
Born's rule in; general, two SiLU layers.
Loss: squared error of the hidden states over their mean square along the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emergence import evaluating
from emergence.introspection import polynomial, recurrence
from emergence.introspection.translator import gather_per_seed
from emergence.introspection.windows import WindowsProblem
from emergence.randomness import generator
from emergence.updates import Parameters

ENCODER_WIDTH = 8
DECODER_WIDTH = 12
CELL_WIDTH = 16


@dataclass(frozen=True)
class Shape:
    """What fixes a distiller's architecture."""

    hidden: int
    latent: int
    degree: int
    decoder: str
    cell: str
    unit: float
    """V₀, 1/length²."""


def initial_parameters(shape: Shape, seeds: int, seed: int) -> dict[str, np.ndarray]:
    """Random start of every seed; name → ``[seeds, ...]`` float64."""
    rng = generator(seed, "distiller", shape.latent)
    size, hidden = shape.latent, shape.hidden

    def layer(rows: int, columns: int) -> np.ndarray:
        return rng.standard_normal((seeds, rows, columns)) / np.sqrt(rows)

    parameters = {
        "encoder_in": layer(hidden, ENCODER_WIDTH),
        "encoder_bias": 0.1 * rng.standard_normal((seeds, ENCODER_WIDTH)),
        "encoder_out": layer(ENCODER_WIDTH, size),
        "encoder_linear": layer(hidden, size),
        "encoder_constant": 0.1 * rng.standard_normal((seeds, size)),
    }
    if shape.cell == "linear":
        parameters["update"] = polynomial.near_identity(rng, seeds, shape.degree, size, 1.0, 0.05)
    else:
        parameters["cell_in"] = layer(size + shape.degree, CELL_WIDTH)
        parameters["cell_bias"] = 0.1 * rng.standard_normal((seeds, CELL_WIDTH))
        parameters["cell_out"] = 0.1 * layer(CELL_WIDTH, size)
    if shape.decoder == "linear":
        parameters["decoder"] = layer(size, hidden)
    elif shape.decoder == "quadratic":
        parameters["decoder"] = layer(size * (size + 1) // 2, hidden)
    else:
        parameters["decoder_in"] = layer(size, DECODER_WIDTH)
        parameters["decoder_bias_1"] = 0.5 * rng.standard_normal((seeds, DECODER_WIDTH))
        parameters["decoder_middle"] = layer(DECODER_WIDTH, DECODER_WIDTH)
        parameters["decoder_bias_2"] = 0.5 * rng.standard_normal((seeds, DECODER_WIDTH))
        parameters["decoder_out"] = layer(DECODER_WIDTH, hidden)
        parameters["decoder_constant"] = 0.1 * rng.standard_normal((seeds, hidden))
    return parameters


def encode(parameters: Parameters, hidden: tf.Tensor) -> tf.Tensor:
    """E: the hidden state at the start ``[seeds, batch, hidden]`` → ``[seeds, batch, latent]``."""
    inner = tf.einsum("sna,saw->snw", hidden, parameters["encoder_in"])
    inner = tf.tanh(inner + parameters["encoder_bias"][:, None])
    straight = tf.einsum("sna,saw->snw", hidden, parameters["encoder_linear"])
    straight = straight + parameters["encoder_constant"][:, None]
    return straight + tf.einsum("snw,swg->sng", inner, parameters["encoder_out"])


def quadratic_features(latent: tf.Tensor) -> tf.Tensor:
    """All products g_a g_b with a ≤ b, ``[..., latent (latent + 1)/2]``."""
    size = latent.shape[-1]
    rows, columns = np.triu_indices(size)
    return tf.gather(latent, rows, axis=-1) * tf.gather(latent, columns, axis=-1)


def decode(shape: Shape, parameters: Parameters, latent: tf.Tensor) -> tf.Tensor:
    """D: ``[seeds, batch, sites, latent]`` → hidden states ``[seeds, batch, sites, hidden]``."""
    if shape.decoder == "linear":
        return tf.einsum("sntg,sgh->snth", latent, parameters["decoder"])
    if shape.decoder == "quadratic":
        return tf.einsum("sntg,sgh->snth", quadratic_features(latent), parameters["decoder"])
    inner = tf.einsum("sntg,sgw->sntw", latent, parameters["decoder_in"])
    # Unbounded units: behind a barrier the density is larger than bounded ones can follow.
    inner = tf.nn.silu(inner + parameters["decoder_bias_1"][:, None, None])
    inner = tf.einsum("sntv,svw->sntw", inner, parameters["decoder_middle"])
    inner = tf.nn.silu(inner + parameters["decoder_bias_2"][:, None, None])
    output = tf.einsum("sntw,swh->snth", inner, parameters["decoder_out"])
    return output + parameters["decoder_constant"][:, None, None]


def _general_cell(parameters: Parameters) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    def step(latent: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        # The constant feature is left out: the bias carries it.
        joined = tf.concat([latent, features[..., 1:]], axis=-1)
        inner = tf.einsum("sna,saw->snw", joined, parameters["cell_in"])
        inner = tf.tanh(inner + parameters["cell_bias"][:, None])
        return latent + tf.einsum("snw,swg->sng", inner, parameters["cell_out"])

    return step


def latents(
    shape: Shape, parameters: Parameters, start: tf.Tensor, potential: tf.Tensor
) -> tf.Tensor:
    """Latents at the start and after every site.

    Args:
        start: hidden state before the window, ``[seeds, batch, hidden]``.
        potential: ``[seeds, batch, sites]``.

    Returns:
        ``[seeds, batch, sites + 1, latent]``.
    """
    return latents_from(shape, parameters, encode(parameters, start), potential)


def latents_from(
    shape: Shape, parameters: Parameters, first: tf.Tensor, potential: tf.Tensor
) -> tf.Tensor:
    """:func:`latents` with the latents at the start given, ``first`` ``[seeds, batch, latent]``."""
    drive = recurrence.powers(potential, shape.degree, shape.unit)
    if shape.cell == "linear":
        return recurrence.roll_polynomial(parameters["update"], first, drive)
    return recurrence.roll(_general_cell(parameters), first, drive)


class DistillerProblem(WindowsProblem):
    """Least squares of reconstructed against true hidden states.

    The encoder acts through the latents at the start alone.

    Args:
        potential: ``[windows, sites]``.
        hidden: translator's states of each seed, ``[seeds, windows, sites + 1, hidden]``.
    """

    start_names = frozenset(
        ["encoder_in", "encoder_bias", "encoder_out", "encoder_linear", "encoder_constant"]
    )

    def __init__(
        self,
        shape: Shape,
        seeds: int,
        seed: int,
        potential: np.ndarray,
        hidden: np.ndarray,
        dtype: str = "float64",
    ) -> None:
        super().__init__(seeds, seed, potential, dtype)
        self.shape = shape
        self._hidden = tf.constant(hidden, dtype)

    @property
    def rolls(self) -> bool:
        """Whether the latents roll by matrices; a general cell does not."""
        return self.shape.cell == "linear"

    def fresh(self, seeds: int) -> dict[str, np.ndarray]:
        """See :class:`~emergence.introspection.windows.WindowsProblem`."""
        return initial_parameters(self.shape, seeds, self.seed)

    def belonging(self, index: tf.Tensor, window: int) -> tuple[tf.Tensor, ...]:
        """The hidden states h."""
        return (gather_per_seed(self._hidden[:, :, : window + 1], index),)

    def residuals(self, parameters: Parameters, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """(D(g) − h)/rms(h) of each window, ``[seeds, batch · (sites + 1) · hidden]``."""
        start = self.start(parameters, batch)
        latent = latents_from(self.shape, parameters, start, batch[0])
        return tf.reshape(self.residuals_at(parameters, latent, batch), [latent.shape[0], -1])

    def start(self, parameters: Parameters, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Latents at the start of each window, ``[seeds, batch, latent]``."""
        return encode(parameters, batch[1][:, :, 0])

    def roll(
        self, parameters: Parameters, start: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Latents at the start and after every site, with their derivatives."""
        drive = recurrence.powers(batch[0], self.shape.degree, self.shape.unit)
        return recurrence.roll_with_derivatives(parameters["update"], start, drive)

    def read(self, parameters: Parameters, states: tf.Tensor) -> tf.Tensor:
        """Reconstructed hidden states, ``[seeds, batch, sites + 1, hidden]``."""
        return decode(self.shape, parameters, states)

    def scale(self, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """rms(h) of each window, ``[seeds, batch]``."""
        return tf.sqrt(tf.reduce_mean(batch[1] ** 2, axis=[2, 3]))

    def residuals_at(
        self, parameters: Parameters, states: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tf.Tensor:
        """The residuals of given latents, ``[seeds, batch, sites + 1, hidden]``."""
        error = self.read(parameters, states) - batch[1]
        return error / self.scale(batch)[..., None, None]

    def objective(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean squared residual per seed, twice: what is minimised is what is reported."""
        loss = tf.reduce_mean(self.residuals(parameters, batch) ** 2, axis=1)
        return loss, loss


def evaluate(
    shape: Shape,
    parameters: dict[str, np.ndarray],
    hidden: np.ndarray,
    potential: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Latents and loss on test windows in double precision, for every seed.

    Args:
        hidden: ``[seeds, batch, sites + 1, hidden]``.
        potential: ``[batch, sites]``.

    Returns:
        g ``[seeds, batch, sites + 1, latent]`` and the loss ``[seeds]``.
    """
    weights = {name: tf.constant(value, evaluating.dtype()) for name, value in parameters.items()}
    repeated = np.broadcast_to(potential, (len(hidden), *potential.shape))
    latent, error = _run(
        shape, weights, *(tf.cast(part, evaluating.dtype()) for part in (hidden, repeated))
    )
    return latent.numpy(), error.numpy()


@evaluating.compiled
def _run(
    shape: Shape, weights: Parameters, hidden: tf.Tensor, potential: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    latent = latents(shape, weights, hidden[:, :, 0], potential)
    scale = tf.reduce_mean(hidden**2, axis=[2, 3], keepdims=True)
    error = (decode(shape, weights, latent) - hidden) ** 2 / scale
    return latent, tf.reduce_mean(error, axis=[1, 2, 3])
