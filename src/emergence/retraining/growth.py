"""Growing a wave function: the weights of one size are the start at the next.

Of each size: the energy before any step (zero-shot) and of an untrained network, the training, and
the final energies in double precision with exact local energies, for the network averaged over the
point group and for the plain one, with what each bond and each move contributes.

The original's schedule of sizes is not recoverable; doubling is ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from emergence import training
from emergence.errors import ArtifactError, DivergenceError
from emergence.randomness import derive_seed
from emergence.retraining.cells import Cell, GatedUnit, TensorUnit
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.models import Model, build_model
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.paper_square import PaperSquare
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.vmc import EnergyMinimisation
from emergence.retraining.wavefunction import RecurrentState, WaveFunction
from emergence.settings import GrowthArm, GrowthStage, Settings, fingerprint
from emergence.steps import parameters_of

Arrays = dict[str, np.ndarray]


def model_of(arm: GrowthArm, size: int) -> Model:
    """The Hamiltonian of an arm at one size."""
    return build_model(arm.model, arm.geometry, size, arm.boundary, field=arm.field, j2=arm.j2)


def state_of(arm: GrowthArm, size: int) -> WaveFunction:
    """The wave function of an arm at one size; its parameters do not depend on the size."""
    model = model_of(arm, size)
    if arm.network == "original_square":
        return PaperSquare(model, units=arm.units)
    cells: dict[str, type[Cell]] = {
        "gated": GatedUnit,
        "tensor": TensorUnit,
        "original_chain": PaperCell,
    }
    masked = arm.masked and model.conserves_magnetisation
    return RecurrentState(Recurrent(cells[arm.network](arm.units), Moves(model), masked))


def hamiltonian_of(arm: GrowthArm, size: int) -> Hamiltonian:
    """Matrix elements at one size, Marshall-rotated where the arm says so."""
    model = model_of(arm, size)
    return Hamiltonian(model, arm.marshall and model.conserves_magnetisation)


def grow(
    settings: Settings,
    name: str,
    size: int,
    before: Arrays | None,
    spent: float,
    folder: Path,
) -> tuple[Arrays, pd.DataFrame, Arrays]:
    """Train one size of one arm and evaluate it.

    Args:
        before: tensors of the size before (parameters and moments) or shipped ones; None to start
            from random weights.
        spent: cell evaluations that went into ``before``.
        folder: where the checkpoint lives until the size is done.

    Returns:
        Arrays, the history table, and the tensors that the next size starts from. Arrays: as
        :func:`evaluate`, the error named ``energy_error``; ``zero_shot_…`` before the first step;
        ``plain_…`` without averaging; ``untrained_…`` of random weights; ``cost`` and
        ``cost_total``, cell evaluations of this training and of all up to it; ``shipped``, whether
        it began from weights that come with the project; and what the probes found.

    Raises:
        ArtifactError: ``before`` is of another network.
        DivergenceError: local energies are not finite.
    """
    chosen = settings.retraining
    arm = chosen.chains[name]
    root = derive_seed(settings.seed, "retraining", name, size)
    problem = EnergyMinimisation(
        state_of(arm, size), hamiltonian_of(arm, size), arm.seeds, root,
        tf.as_dtype(chosen.precision),
    )  # fmt: skip
    fresh = problem.initial_parameters(1)
    arrays: Arrays = {}
    if before is not None:
        check_parameters(parameters_of(before), fresh, f"{name}, size {size}")
        found = evaluate(settings, name, size, parameters_of(before), "zero shot", arm.averaged)
        arrays |= {f"zero_shot_{key}": found[key] for key in ("energy", "error", "variance")}
    found = evaluate(settings, name, size, fresh, "untrained", arm.averaged)
    arrays |= {f"untrained_{key}": found[key] for key in ("energy", "error", "variance")}
    stages = [
        stage.model_copy(update={"window": problem.hamiltonian.model.sites})
        for stage in chosen.stages[arm.sizes[size]]
    ]
    trained = training.train(
        problem,
        stages,
        seed=derive_seed(root, "samples"),
        title=f"{name}, size {size}",
        checkpoint=folder,
        checkpoint_seconds=settings.checkpoint_seconds,
        identity=fingerprint({"arm": arm.model_dump(), "size": size, "start": digest(before)}),
        start=before,
    )
    final = evaluate(settings, name, size, trained.parameters, "final", arm.averaged)
    final["energy_error"] = final.pop("error")
    arrays |= final
    plain = evaluate(settings, name, size, trained.parameters, "plain", False)
    arrays |= {f"plain_{key}": value for key, value in plain.items()}
    arrays["cost"] = np.array(float(sum(cost(problem, stage) for stage in stages)))
    arrays["cost_total"] = arrays["cost"] + spent
    arrays["shipped"] = np.array(float(arm.shipped is not None))
    return arrays, trained.history, trained.tensors


def check_parameters(found: Arrays, expected: Arrays, where: str) -> None:
    """Refuse weights of another network.

    Raises:
        ArtifactError: names or shapes differ, or a weight is not finite.
    """
    for key in sorted(expected.keys() | found.keys()):
        have = tuple(found[key].shape) if key in found else None
        want = tuple(expected[key].shape) if key in expected else None
        if have != want:
            raise ArtifactError(
                f"The weights that {where} should start from are of another network: {key} has "
                f"the shape {have}, not {want}.",
                "Give the same network, units and seeds, or delete the results of that arm.",
            )
        if not np.isfinite(found[key]).all():
            raise ArtifactError(
                f"The weights that {where} should start from hold numbers that are not finite.",
                "Delete the results of that arm and rerun.",
            )


def digest(tensors: Arrays | None) -> str:
    """Fingerprint of tensors: a checkpoint made from others is not continued."""
    if tensors is None:
        return "random"
    content = hashlib.sha256()
    for key, value in tensors.items():
        content.update(key.encode() + str(value.dtype).encode() + np.asarray(value).tobytes())
    return content.hexdigest()


def evaluate(
    settings: Settings, name: str, size: int, parameters: Arrays, purpose: str, averaged: bool
) -> Arrays:
    """Energies of a wave function, exact local energies in double precision.

    Returns:
        ``energy``, ``error`` (standard error of the mean), ``variance`` (of the local energy)
        ``[seeds]``; ``diagonal`` ``[seeds, bonds]`` and ``moving`` ``[seeds, moves]``, what each
        term of the Hamiltonian contributes, with ``…_error``; ``samples`` int8
        ``[seeds, configurations, sites]``.

    Raises:
        DivergenceError: a local energy is not finite.
    """
    chosen = settings.retraining
    arm = chosen.chains[name]
    state, hamiltonian = state_of(arm, size), hamiltonian_of(arm, size)
    if averaged:
        state = symmetrised(state)
    double = {key: tf.constant(value, tf.float64) for key, value in parameters.items()}
    seed = derive_seed(settings.seed, "retraining", name, size, purpose)
    sums = energies(state, hamiltonian, double, seed, chosen.samples, chosen.batch)
    if not all(np.isfinite(value).all() for value in sums.values()):
        raise DivergenceError(
            f"The local energies of {name} at size {size} are not finite ({purpose}).",
            "Train with a lower rate or more damping, or start from other weights.",
        )
    if purpose in ("final", "plain"):
        sums["samples"] = configurations(
            state, double, derive_seed(seed, "configurations"), chosen.configurations, chosen.batch
        )
    return sums


def symmetrised(state: WaveFunction) -> WaveFunction:
    """The same network averaged over the lattice's point group."""
    if isinstance(state, RecurrentState):
        return replace(state, symmetric=True)
    return replace(state, directions=tuple(map(tuple, state.model.lattice.point_group.tolist())))


def energies(
    state: WaveFunction,
    hamiltonian: Hamiltonian,
    parameters: dict[str, tf.Tensor],
    seed: int,
    samples: int,
    batch: int,
) -> Arrays:
    """Mean, error and variance of local energies and of the terms they are made of."""
    some = _compiled_terms(state, hamiltonian, batch)
    totals, parts = [], {"diagonal": [], "moving": []}
    for index in range(samples // batch):
        found = some(parameters, tf.constant([seed, index]))
        total = 0.0
        for key, values in zip(parts, found, strict=True):
            values = values.numpy()
            total = total + values.sum(axis=1)
            parts[key].append((values.sum(axis=2), (values**2).sum(axis=2)))
        totals.append(total)
    total = np.concatenate(totals, axis=1)
    arrays = {
        "energy": total.mean(axis=1),
        "error": total.std(axis=1) / np.sqrt(samples),
        "variance": total.var(axis=1),
    }
    for key, sums in parts.items():
        mean, square = (sum(s[i] for s in sums) / samples for i in (0, 1))
        arrays[key] = mean
        arrays[f"{key}_error"] = np.sqrt(np.maximum(square - mean**2, 0.0) / samples)
    return arrays


@cache
def _compiled_terms(state: WaveFunction, hamiltonian: Hamiltonian, batch: int) -> Any:
    """(parameters, seed) → what each term contributes to each local energy; compiled once."""

    @tf.function(jit_compile=True, autograph=False)
    def some(parameters: dict[str, tf.Tensor], seed: tf.Tensor) -> Any:
        spins = state.sample(parameters, seed, batch)
        terms = hamiltonian.terms(spins, state.ratios(parameters, spins))
        return terms.diagonal, terms.moving

    return some


def configurations(
    state: WaveFunction, parameters: dict[str, tf.Tensor], seed: int, number: int, batch: int
) -> np.ndarray:
    """Samples of |ψ|² as int8 ``[seeds, number, sites]``."""

    @tf.function(jit_compile=True, autograph=False)
    def some(parameters: dict[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        return tf.cast(state.sample(parameters, seed, batch), tf.int8)

    drawn = [some(parameters, tf.constant([seed, i])).numpy() for i in range(number // batch)]
    return np.concatenate(drawn, axis=1)


def cost(problem: EnergyMinimisation, stage: GrowthStage) -> float:
    """Cell evaluations of a stage: samples, gradient (counted as three passes) and branches."""
    model = problem.hamiltonian.model
    moves, sites = problem.hamiltonian.moves, model.sites
    images = len(model.lattice.point_group) if stage.symmetric else 1
    followed = min(stage.truncation or sites, sites)
    branch = moves.per_position * (followed * (sites - followed) + followed * (followed + 1) / 2)
    return problem.seeds * stage.steps * stage.batch * images * (4.0 * sites + branch)
