"""Training a flow size by size: the levels of one torus are the start on the next.

Of each size: how far the transferred levels are from the theory before any step, the training, and
importance weights and observables of final samples in double precision at every point that the flow
is evaluated at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from emergence import artifacts, evaluating, training
from emergence.artifacts import Arrays
from emergence.errors import ArtifactError
from emergence.finished import Finished
from emergence.holography.arms import problem_of
from emergence.holography.flow import FlowProblem, compile_weigher
from emergence.holography.identity import flow_of
from emergence.holography.learnt_prior import of_prior
from emergence.holography.observables import along_axes, ising_primary, primary
from emergence.holography.points import Point, points_of
from emergence.holography.transfer import transfer
from emergence.holography.weights import Evaluation, check_finite
from emergence.progress import say
from emergence.randomness import derive_seed
from emergence.settings import FlowStage, Settings, fingerprint
from emergence.weights import (
    check_weights,
    digest,
    read_weights,
    tell_other_physics,
    write_weights,
)


def grow(
    settings: Settings,
    name: str,
    size: int,
    before: tuple[Arrays, int] | None,
    folder: Path,
    finished: Mapping[str, Finished] | None = None,
) -> tuple[Arrays, pd.DataFrame, Arrays, float]:
    """Train one size of one arm and evaluate it.

    Args:
        before: parameters of the size before (or shipped ones, or those whose map is kept), and
            their side; None to start from the identity.
        folder: where the checkpoint lives until the size is done.
        finished: trainings to take instead of training.

    Returns:
        Arrays, the history table, the trained parameters, and the processor seconds of a step.
        Arrays: as :func:`evaluate`; ``untrained_log_weights`` of the identity, at the first point; of a
        learnt prior ``map_log_weights`` and ``reversed_log_weights``, see :func:`without_prior`;
        ``parameters``, their number per seed; ``steps`` and ``batch`` of the training; ``shipped``,
        whether it began from weights that come with the project.

    Raises:
        ArtifactError: ``before`` is of another architecture, or not finite, or is not the map that a
            prior was trained for.
        DivergenceError: the training diverged, or an importance weight is not finite.
    """
    chosen = settings.holography
    arm = chosen.flows[name]
    problem = problem_of(settings, name, size)
    points = points_of(chosen, name)
    weigh = compile_weigher(problem, arm.seeds, chosen.chunk)
    samples = arm.samples or chosen.samples
    # That it is far away a few samples tell.
    first = Draws(settings, problem, weigh, points[:1], min(samples, chosen.samples))
    fresh = evaluate(first, problem.initial_parameters(), name, "untrained")
    arrays: Arrays = {"untrained_log_weights": fresh["log_weights"][0]}
    start = None if before is None else _transferred(problem, *before, chosen.precision)
    stages = stages_of(settings, name, size)
    trained = training.train(
        problem,
        stages,
        seed=derive_seed(problem.seed, "samples"),
        title=f"{name}, side {size}",
        checkpoint=folder,
        checkpoint_seconds=settings.checkpoint_seconds,
        identity=identity(settings, name, size),
        inputs=fingerprint({"start": digest(start), "threads": settings.threads}),
        start=None if start is None else {f"p/{key}": value for key, value in start.items()},
        finished=finished,
    )
    final = Draws(settings, problem, weigh, points, samples, arm.observed)
    arrays |= evaluate(final, trained.parameters, name, "final")
    if problem.flow.prior:
        check_kept(start, trained.parameters, name)
        arrays |= without_prior(final._replace(observed=False), trained.parameters, name)
    tell_underpowered(points, arrays["log_weights"])
    arrays["parameters"] = np.array(sum(v[0].size for v in trained.parameters.values()))
    arrays["steps"] = np.array(sum(stage.steps for stage in stages))
    arrays["batch"] = np.array(stages[-1].batch)
    arrays["shipped"] = np.array(float(arm.shipped is not None and size == min(arm.sizes)))
    return arrays, trained.history, trained.parameters, trained.seconds_per_step


def _transferred(problem: FlowProblem, parameters: Arrays, side: int, precision: str) -> Arrays:
    """Parameters of one side as a start at the side of a problem, in the precision of its training."""
    size = problem.flow.side
    parameters = parameters if side == size else transfer(parameters, side, size)
    if problem.flow.prior:
        own = problem.initial_parameters()
        parameters = parameters | {key: own[key] for key in own if of_prior(key)}
    problem.flow.check_parameters(parameters)
    return {name: value.astype(precision) for name, value in parameters.items()}


def identity(settings: Settings, name: str, size: int) -> str:
    """Fingerprint of the settings that trained parameters depend on, smaller sides' included."""
    chosen = settings.holography
    arm = chosen.flows[name]
    # How many samples are drawn of a trained flow changes nothing of it.
    own = flow_of(arm, "samples", "observed")
    grown = {side: chosen.stages[arm.sizes[side]] for side in arm.sizes if side <= size}
    return fingerprint(
        {"name": name, "arm": own, "size": size}
        | {"theory": chosen.theories[arm.theory].model_dump(mode="json")}
        | {"stages": {str(side): [s.model_dump() for s in grown[side]] for side in grown}}
        | {"seed": settings.seed, "precision": chosen.precision}
        | ({"map": identity(settings, arm.after, size)} if arm.after else {})
    )


def stages_of(settings: Settings, name: str, size: int) -> list[FlowStage]:
    """The stages of one size, told how many sites it has."""
    chosen = settings.holography
    stages = chosen.stages[chosen.flows[name].sizes[size]]
    return [stage.model_copy(update={"window": size * size}) for stage in stages]


def tell_underpowered(points: list[Point], log_weights: np.ndarray) -> None:
    """Say in the log where fewer than ten samples are effective.

    Args:
        points: (t, μ).
        log_weights: ln w, ``[points, seeds, samples]``.
    """
    for (t, _), rows in zip(points, log_weights, strict=True):
        for found in map(Evaluation, rows):
            if found.underpowered:
                effective = found.effective_fraction * found.samples
                say(
                    f"At t = {t:g} only {effective:.1f} of {found.samples} samples are effective: "
                    "numbers reweighted from them come out underpowered."
                )


class Draws(NamedTuple):
    """Which samples of a flow are drawn, and with what compiled function."""

    settings: Settings
    problem: FlowProblem
    weigh: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
    points: list[Point]
    samples: int
    observed: bool = False


def evaluate(draws: Draws, parameters: Mapping[str, np.ndarray], *names: str) -> Arrays:
    """Draw samples of a flow in double precision, weigh and measure them.

    Args:
        names: of what the random numbers are for.

    Returns:
        ``t`` and ``mu`` ``[points]``; ``log_weights`` ``[points, seeds, samples]``, ln w = −S − ln q,
        and ``log_density``, ln q; if observed, what :func:`measure` tells, under its name, of the
        same shape, the correlation function with one more axis.

    Raises:
        DivergenceError: a weight is not finite.
    """
    weights = {name: tf.constant(value, evaluating.dtype()) for name, value in parameters.items()}
    seeds, chunk = draws.problem.seeds, draws.settings.holography.chunk
    side = draws.problem.flow.side
    root = derive_seed(draws.settings.seed, "holography", "evaluate", side, *names)
    found: list[Arrays] = []
    for index, point in enumerate(draws.points):
        at = tf.broadcast_to(tf.constant(point, evaluating.dtype()), [seeds, chunk, 2])
        parts = []
        for part in range(draws.samples // chunk):
            seed = tf.constant([root, index * draws.samples + part], tf.int32)
            drawn = (value.numpy() for value in draws.weigh(weights, at, seed))
            field, log_weights, log_density = drawn
            measured = measure(field, point[0]) if draws.observed else {}
            parts.append(measured | {"log_weights": log_weights, "log_density": log_density})
        found.append({key: np.concatenate([p[key] for p in parts], axis=1) for key in parts[0]})
    arrays = {key: np.stack([each[key] for each in found]) for key in found[0]}
    check_finite(arrays["log_weights"])
    return arrays | {
        "t": np.array([point[0] for point in draws.points]),
        "mu": np.array([point[1] for point in draws.points]),
    }


def check_kept(start: Arrays | None, parameters: Arrays, name: str) -> None:
    """Refuse a trained prior whose map is not, bit for bit, the one that it was to be trained for.

    Raises:
        ArtifactError: it is another, or none was given.
    """
    kept = {key: value for key, value in (start or {}).items() if not of_prior(key)}
    if not kept or not all(np.array_equal(parameters[key], kept[key]) for key in kept):
        raise ArtifactError(
            f"{name}: its prior was not trained for the map that it is to start from.",
            "Give the weights of that map, or train: leave --trained out.",
        )


def without_prior(draws: Draws, parameters: Mapping[str, np.ndarray], name: str) -> Arrays:
    """What a learnt prior is compared with, from the same random numbers, at the first point.

    Returns:
        ``[seeds, samples]`` of the same independent Gaussians: ``map_log_weights`` without couplings,
        ``reversed_log_weights`` with those of the opposite sign.
    """
    draws, found = draws._replace(points=draws.points[:1]), {}
    for label, factor in (("map", 0.0), ("reversed", -1.0)):
        other = {
            key: value * value.dtype.type(factor) if of_prior(key) else value
            for key, value in parameters.items()
        }
        found[f"{label}_log_weights"] = evaluate(draws, other, name, "final")["log_weights"][0]
    return found


def measure(field: np.ndarray, t: float) -> Arrays:
    """Primary quantities of fields ``[seeds, batch, L, L, components]``, ``[seeds, batch]`` each.

    Of complex ones also the ``correlation`` function along the axes, ``[seeds, batch, L/2 + 1]``.
    """
    seeds, batch, side = field.shape[:3]
    flat = field.reshape(-1, side, side, field.shape[-1])
    if field.shape[-1] == 1:
        found = ising_primary(flat[..., 0])
    else:
        values = flat[..., 0] + 1j * flat[..., 1]
        found = primary(values, t) | {"correlation": along_axes(values)}
    return {name: each.reshape(seeds, batch, *each.shape[1:]) for name, each in found.items()}


def write_flow(folder: Path, parameters: Arrays, side: int) -> None:
    """Write a flow's parameters with the side that they were trained at.

    Raises:
        ArtifactError: the folder cannot be written.
    """
    write_weights(folder, parameters, {"side": side, "order": list(parameters)})


def tell_other_theory(folder: Path, settings: Settings, name: str) -> None:
    """Say so where the weights that a flow goes on from were trained for another theory."""
    chosen = settings.holography
    theory = chosen.flows[name].theory
    tell_other_physics(
        folder,
        # By the theory's name, as shipped weights come from arms of other names.
        lambda recorded: recorded["holography"]["theories"][theory],
        chosen.theories[theory].model_dump(mode="json"),
    )


def read_flow(folder: Path) -> tuple[Arrays, int]:
    """Parameters in the order they were written in, and their side.

    Raises:
        ArtifactError: the weights are missing, corrupt, or not those that their record names.
    """
    check_weights(folder)
    artifacts.read_numbers(folder / "numbers.json", required=["side", "order"])
    found, numbers = read_weights(folder)
    return {name: found[name] for name in numbers["order"]}, int(numbers["side"])
