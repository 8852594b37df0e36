"""What a recurrent wave function remembers: how far back a spin or a hidden state still matters.

Two measures of memory on a chain, both in its bulk, against the distance d = i − j:

    response(d) = ⟨|p(s_i = ↑ | s_<i) − p(s_i = ↑ | s_<i, s_j flipped)|⟩,
    gradient(d) = ⟨‖∂ ln[p(s_i = ↑ | s_<i) / p(s_i = ↓ | s_<i)] / ∂h_{i−d}‖⟩,

averaged over samples and over several sites. The response is the total variation between the two
conditionals: it belongs to the wave function, whatever parametrises it, so that it has an exact
counterpart (:mod:`emergence.retraining.exact_memory`). The gradient belongs to the network alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.evaluating import compiled
from emergence.retraining.exact_memory import flipped_sites, longest_distance
from emergence.retraining.recurrent import Recurrent
from emergence.updates import Parameters


def memory(
    network: Recurrent, parameters: Parameters, untrained: Parameters, spins: tf.Tensor
) -> dict[str, np.ndarray]:
    """Both measures, of a trained network and of the same before training.

    Args:
        network: on a chain.
        parameters, untrained: name → tensor ``[seeds, ...]``.
        spins: samples of the trained network, ±1, ``[seeds, batch, sites]``, of the parameters'
            type; some hundred suffice.

    Returns:
        ``distances`` int64 ``[D]``, 1 … D; ``response``, ``response_error``,
        ``response_untrained``, ``gradient``, ``gradient_untrained`` float64 ``[seeds, D]``.

    Raises:
        SettingsError: a network that does not read a chain.
    """
    _require_chain(network)
    ask = {
        name: compiled(partial(function, network))
        for name, function in (("response", response), ("gradient", gradient))
    }
    arrays = {"distances": np.arange(1, longest_distance(network.sites) + 1)}
    for suffix, chosen in (("", parameters), ("_untrained", untrained)):
        for name, function in ask.items():
            each = function(chosen, spins).numpy().astype(np.float64)
            arrays[f"{name}{suffix}"] = each.mean(axis=1)
            if name == "response" and not suffix:
                arrays["response_error"] = each.std(axis=1, ddof=1) / np.sqrt(each.shape[1])
    return arrays


def response(network: Recurrent, parameters: Parameters, spins: tf.Tensor) -> tf.Tensor:
    """Mean |Δp(s_i = ↑)| over the flipped sites, ``[seeds, batch, D]``, column d − 1.

    One scan over the samples and a copy of them for each flipped site.
    """
    flips, sites = flipped_sites(network.sites), network.sites
    seeds, batch = spins.shape[:2]
    sign = np.ones((1 + len(flips), sites))
    sign[np.arange(1, len(sign)), flips] = -1.0
    copies = spins[:, None] * tf.constant(sign, spins.dtype)[:, None]
    copies = tf.reshape(copies, [seeds, len(sign) * batch, sites])
    up = tf.reshape(_conditionals(network, parameters, copies), [sites, seeds, len(sign), batch])
    change = tf.abs(up[:, :, 1:] - up[:, :, :1])
    distance = np.arange(1, longest_distance(sites) + 1)
    place = np.stack(
        [flips + distance[:, None], np.tile(np.arange(len(flips)), (len(distance), 1))]
    )
    picked = tf.gather_nd(tf.transpose(change, [0, 2, 1, 3]), np.moveaxis(place, 0, -1))
    return tf.transpose(tf.reduce_mean(picked, axis=1), [1, 2, 0])


def _conditionals(network: Recurrent, parameters: Parameters, spins: tf.Tensor) -> tf.Tensor:
    """p(s_i = ↑ | s_<i), ``[sites, seeds, rows]``, for configurations ``[seeds, rows, sites]``."""
    path = tf.transpose(spins, [2, 0, 1])
    rows = spins.shape[1]

    def body(position: tf.Tensor, memory: tf.Tensor, ups: tf.Tensor, found: tf.TensorArray) -> Any:
        left, above = network.neighbour_spins(path, position)
        memory, odds, _ = network.advance(parameters, memory, position, left, above, ups)
        ups = ups + tf.nn.relu(path[position])
        return position + 1, memory, ups, found.write(position, tf.sigmoid(odds))

    start = (
        tf.constant(0),
        network.empty_memory(parameters, rows),
        tf.zeros_like(path[0]),
        tf.TensorArray(spins.dtype, network.sites, element_shape=path.shape[1:]),
    )
    *_, found = tf.while_loop(
        lambda position, *_: position < network.sites,
        body,
        start,
        maximum_iterations=network.sites,
    )
    return found.stack()


def gradient(network: Recurrent, parameters: Parameters, spins: tf.Tensor) -> tf.Tensor:
    """Mean ‖∂ log-odds_i / ∂h_{i−d}‖ over the probed sites i, ``[seeds, batch, D]``.

    The hidden states of the samples come from one scan; the cotangents of all probed sites then
    walk back together, one cell per distance. The log-odds are the cell's own, before any mask.
    """
    cell, sites = network.cell, network.sites
    longest = longest_distance(sites)
    probed = flipped_sites(sites) + longest
    seeds, batch = spins.shape[:2]
    hidden, path = _hidden_states(network, parameters, spins), tf.transpose(spins, [2, 0, 1])

    def at(values: tf.Tensor, distance: tf.Tensor) -> tf.Tensor:
        """Rows of the sites i − distance, probe by probe, ``[seeds, probes · batch, ...]``."""
        picked = tf.gather(values, tf.constant(probed, tf.int32) - distance)
        picked = tf.transpose(picked, [1, 0, 2, *range(3, len(values.shape))])
        return tf.reshape(picked, [seeds, len(probed) * batch, *values.shape[3:]])

    def pulled(distance: tf.Tensor, cotangent: tf.Tensor) -> tf.Tensor:
        """∂ log-odds_i / ∂h_{i−distance}, given ∂ log-odds_i / ∂h_{i−distance+1}."""
        before, spin = at(hidden, distance), at(path, distance)
        with tf.GradientTape() as tape:
            tape.watch(before)
            after, odds, _ = cell.step(parameters, (before, spin), None)
            carried = tf.reduce_sum(after * cotangent)
            carried += tf.where(distance == 1, tf.reduce_sum(odds), tf.zeros([], odds.dtype))
        return tape.gradient(carried, before)

    def body(distance: tf.Tensor, cotangent: tf.Tensor, found: tf.TensorArray) -> Any:
        cotangent = pulled(distance, cotangent)
        norms = tf.reshape(tf.norm(cotangent, axis=2), [seeds, len(probed), batch])
        return distance + 1, cotangent, found.write(distance - 1, tf.reduce_mean(norms, axis=1))

    start = (
        tf.constant(1),
        tf.zeros([seeds, len(probed) * batch, cell.units], spins.dtype),
        tf.TensorArray(spins.dtype, longest, element_shape=[seeds, batch]),
    )
    *_, found = tf.while_loop(
        lambda distance, *_: distance <= longest, body, start, maximum_iterations=longest
    )
    return tf.transpose(found.stack(), [1, 2, 0])


def _hidden_states(network: Recurrent, parameters: Parameters, spins: tf.Tensor) -> tf.Tensor:
    """h after each site of the path, ``[sites, seeds, batch, units]``."""
    path = tf.transpose(spins, [2, 0, 1])
    shape = [*path.shape[1:], network.cell.units]

    def body(position: tf.Tensor, hidden: tf.Tensor, found: tf.TensorArray) -> Any:
        left, _ = network.neighbour_spins(path, position)
        hidden = network.cell.step(parameters, (hidden, left), None)[0]
        return position + 1, hidden, found.write(position, hidden)

    found = tf.TensorArray(spins.dtype, network.sites, element_shape=shape)
    *_, found = tf.while_loop(
        lambda position, *_: position < network.sites,
        body,
        (tf.constant(0), network.empty_memory(parameters, spins.shape[1])[0], found),
        maximum_iterations=network.sites,
    )
    return found.stack()


def _require_chain(network: Recurrent) -> None:
    if network.moves.path.width != 1:
        raise SettingsError(
            f"The memory of a network on the {network.moves.model.lattice} is not measured.",
            "Choose a chain, or leave its sizes out of 'probes'.",
        )
