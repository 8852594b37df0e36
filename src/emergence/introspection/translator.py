"""The translator: a recurrent network that learns density profiles from potentials.

``h_i = W(V_i) h_{i−1}``, ``ρ'_i = P(h_i)`` (arXiv:1901.11103). Its start is a linear map of the densities
at three detectors in the field-free lead before the window, or learnt where every system starts the
same; no wave function reaches it. Loss: squared error over the window, relative to the mean square
of the true density, so that windows in which the density grows do not drown the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emergence import evaluating
from emergence.introspection import polynomial, recurrence
from emergence.introspection.windows import WindowsProblem
from emergence.randomness import generator
from emergence.updates import Parameters

GENERAL_WIDTH = 12
"""Hidden units of the general readout."""


@dataclass(frozen=True)
class Shape:
    """What fixes a translator's architecture."""

    hidden: int
    degree: int
    readout: str
    learnt_start: bool
    unit: float
    """V₀, 1/length²."""


def lead_coordinates(lead: np.ndarray, distance: float, wavenumber: float) -> np.ndarray:
    """Value, slope and curvature of the density in the lead: a fixed linear map of three densities.

    In a field-free lead the density is a parabola, ρ + 2sx + tx², so three detectors fix it exactly;
    these coordinates only bring them to comparable size.

    Args:
        lead: densities 2d, d and 0 before the window, ``[..., 3]``.
        distance: d, length units.
        wavenumber: k₀, 1/length.

    Returns:
        (ρ, s/k₀, t/k₀²), ``[..., 3]``.
    """
    far, middle, near = lead[..., 0], lead[..., 1], lead[..., 2]
    slope = (3.0 * near - 4.0 * middle + far) / (2.0 * distance)
    curvature = (near - 2.0 * middle + far) / distance**2
    return np.stack([near, 0.5 * slope / wavenumber, 0.5 * curvature / wavenumber**2], axis=-1)


def initial_parameters(shape: Shape, seeds: int, seed: int) -> dict[str, np.ndarray]:
    """Random start of every seed; name → ``[seeds, ...]`` float64."""
    rng = generator(seed, "translator", shape.hidden)
    size = shape.hidden
    parameters = {
        "update": polynomial.near_identity(rng, seeds, shape.degree, size, 0.95, 0.02),
        "start": 0.5 * rng.standard_normal((seeds, size, 1 if shape.learnt_start else 3)),
    }
    if shape.readout == "linear":
        parameters["readout"] = 0.5 * rng.standard_normal((seeds, size))
    elif shape.readout == "quadratic":
        parameters["readout"] = 0.5 * rng.standard_normal((seeds, size, size))
    else:
        width = GENERAL_WIDTH
        parameters["readout_in"] = rng.standard_normal((seeds, size, width)) / np.sqrt(size)
        parameters["readout_bias"] = 0.1 * rng.standard_normal((seeds, width))
        parameters["readout_out"] = rng.standard_normal((seeds, width)) / np.sqrt(width)
        parameters["readout_linear"] = 0.5 * rng.standard_normal((seeds, size))
    return parameters


def read_density(shape: Shape, parameters: Parameters, hidden: tf.Tensor) -> tf.Tensor:
    """P(h): ``[seeds, batch, sites, hidden]`` → ``[seeds, batch, sites]``."""
    if shape.readout == "linear":
        return tf.einsum("snta,sa->snt", hidden, parameters["readout"])
    if shape.readout == "quadratic":
        return tf.einsum("snta,sab,sntb->snt", hidden, parameters["readout"], hidden)
    inner = tf.einsum("snta,saw->sntw", hidden, parameters["readout_in"])
    inner = tf.tanh(inner + parameters["readout_bias"][:, None, None])
    straight = tf.einsum("snta,sa->snt", hidden, parameters["readout_linear"])
    return straight + tf.einsum("sntw,sw->snt", inner, parameters["readout_out"])


def hidden_states(
    shape: Shape, parameters: Parameters, lead: tf.Tensor, potential: tf.Tensor
) -> tf.Tensor:
    """Hidden states at the start and after every site.

    Args:
        lead: from :func:`lead_coordinates`, ``[seeds, batch, 3]`` (ignored by a learnt start).
        potential: ``[seeds, batch, sites]``.

    Returns:
        ``[seeds, batch, sites + 1, hidden]``.
    """
    start = start_state(shape, parameters, lead)
    return hidden_states_from(shape, parameters, start, potential)


def start_state(shape: Shape, parameters: Parameters, lead: tf.Tensor) -> tf.Tensor:
    """Hidden state before the first site, ``[seeds, batch, hidden]``."""
    given = tf.ones_like(lead[..., :1]) if shape.learnt_start else lead
    return tf.einsum("sab,snb->sna", parameters["start"], given)


def hidden_states_from(
    shape: Shape, parameters: Parameters, start: tf.Tensor, potential: tf.Tensor
) -> tf.Tensor:
    """:func:`hidden_states` with the state at the start given."""
    drive = recurrence.powers(potential, shape.degree, shape.unit)
    return recurrence.roll_polynomial(parameters["update"], start, drive)


class TranslatorProblem(WindowsProblem):
    """Least squares of predicted against true densities, for :func:`emergence.training.train`.

    The lead acts through the hidden state at the start alone.

    Args:
        potential: ``[windows, sites]``.
        density: what each seed is shown, ``[seeds or 1, windows, sites]``.
        lead: coordinates, ``[seeds or 1, windows, 3]``.
    """

    rolls = True
    start_names = frozenset(["start"])

    def __init__(
        self,
        shape: Shape,
        seeds: int,
        seed: int,
        potential: np.ndarray,
        density: np.ndarray,
        lead: np.ndarray,
        dtype: str = "float64",
    ) -> None:
        super().__init__(seeds, seed, potential, dtype)
        self.shape = shape
        self._density = tf.constant(density, dtype)
        self._lead = tf.constant(lead, dtype)

    def fresh(self, seeds: int) -> dict[str, np.ndarray]:
        """See :class:`~emergence.introspection.windows.WindowsProblem`."""
        return initial_parameters(self.shape, seeds, self.seed)

    def belonging(self, index: tf.Tensor, window: int) -> tuple[tf.Tensor, ...]:
        """ρ and the lead's coordinates."""
        density = gather_per_seed(self._density[..., :window], index)
        return density, gather_per_seed(self._lead, index)

    def residuals(self, parameters: Parameters, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """(ρ' − ρ)/rms(ρ) of each window, ``[seeds, batch · sites]``."""
        start = self.start(parameters, batch)
        hidden = hidden_states_from(self.shape, parameters, start, batch[0])[:, :, 1:]
        return tf.reshape(self.residuals_at(parameters, hidden, batch), [hidden.shape[0], -1])

    def start(self, parameters: Parameters, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Hidden state at the start of each window, ``[seeds, batch, hidden]``."""
        return start_state(self.shape, parameters, batch[2])

    def roll(
        self, parameters: Parameters, start: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Hidden states after every site, with their derivatives."""
        drive = recurrence.powers(batch[0], self.shape.degree, self.shape.unit)
        hidden, moved = recurrence.roll_with_derivatives(parameters["update"], start, drive)
        return hidden[:, :, 1:], moved[1:]

    def read(self, parameters: Parameters, states: tf.Tensor) -> tf.Tensor:
        """Predicted densities, ``[seeds, batch, sites, 1]``."""
        return read_density(self.shape, parameters, states)[..., None]

    def scale(self, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """rms(ρ) of each window, ``[seeds, batch]``."""
        return tf.sqrt(tf.reduce_mean(batch[1] ** 2, axis=2))

    def residuals_at(
        self, parameters: Parameters, states: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tf.Tensor:
        """The residuals of given hidden states after every site, ``[seeds, batch, sites, 1]``."""
        error = self.read(parameters, states) - batch[1][..., None]
        return error / self.scale(batch)[..., None, None]

    def objective(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean squared residual per seed, twice: what is minimised is what is reported."""
        loss = tf.reduce_mean(self.residuals(parameters, batch) ** 2, axis=1)
        return loss, loss


def gather_per_seed(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Rows ``index`` ``[seeds, batch]`` of ``[seeds or 1, rows, ...]``, each seed from its own."""
    if values.shape[0] == 1:
        return tf.gather(values[0], index)
    return tf.gather(values, index, batch_dims=1)


def evaluate(
    shape: Shape,
    parameters: dict[str, np.ndarray],
    lead: np.ndarray,
    potential: np.ndarray,
    chunk: int = 128,
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted densities and hidden states in double precision, for every seed.

    Args:
        lead: ``[seeds or 1, batch, 3]``.
        potential: ``[batch, sites]``.
        chunk: systems per compiled call, which bounds the memory.

    Returns:
        ρ' ``[seeds, batch, sites]`` and h ``[seeds, batch, sites + 1, hidden]``.
    """
    weights = {name: tf.constant(value, evaluating.dtype()) for name, value in parameters.items()}
    seeds = weights["update"].shape[0]
    densities, states = [], []
    for first in range(0, len(potential), chunk):
        part = potential[first : first + chunk]
        repeated = np.broadcast_to(part, (seeds, *part.shape))
        given = lead[:, first : first + chunk]
        given = np.broadcast_to(given, (seeds, *given.shape[1:]))
        density, hidden = _run(
            shape, weights, *(tf.cast(part, evaluating.dtype()) for part in (given, repeated))
        )
        densities.append(density.numpy())
        states.append(hidden.numpy())
    return np.concatenate(densities, axis=1), np.concatenate(states, axis=1)


@evaluating.compiled
def _run(
    shape: Shape, weights: Parameters, lead: tf.Tensor, potential: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    hidden = hidden_states(shape, weights, lead, potential)
    return read_density(shape, weights, hidden[:, :, 1:]), hidden
