"""Growing a wave function: the weights of one size are the start at the next.

Of each size: the energy before any step (zero-shot) and of an untrained network, the training, and
the final energies in double precision with exact local energies, for the network averaged over the
point group and for the network alone, with what each bond and each move contributes.

The original's schedule of sizes is not recoverable; doubling is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from emergence import training
from emergence.artifacts import Arrays
from emergence.errors import ArtifactError
from emergence.finished import Finished
from emergence.randomness import derive_seed, generator
from emergence.retraining.arms import hamiltonian_of, state_of
from emergence.retraining.evaluation import evaluate, probe
from emergence.retraining.vmc import EnergyMinimisation
from emergence.settings import GrowthStage, Settings, fingerprint
from emergence.steps import parameters_of
from emergence.weights import digest, tell_other_physics


def grow(
    settings: Settings,
    name: str,
    size: int,
    before: Arrays | None,
    spent: float,
    folder: Path,
    finished: Mapping[str, Finished] | None = None,
) -> tuple[Arrays, pd.DataFrame, Arrays]:
    """Train one size of one arm and evaluate it.

    Args:
        before: tensors of the size before (parameters and moments) or shipped ones; None to start
            from random weights.
        spent: cell evaluations that went into ``before``.
        folder: where the checkpoint lives until the size is done.
        finished: trainings to take instead of training.

    Returns:
        Arrays, the history table, and the tensors that the next size starts from. Arrays: as
        :func:`evaluate`, the error named ``energy_error``; ``zero_shot_…`` before the first step, and
        ``shuffled_…`` with the entries of each of its arrays in another order;
        ``plain_…`` of the network alone, where ``energy`` is of its average; ``untrained_…`` of
        random weights; ``cost`` and ``cost_total``, cell evaluations of this training and of all up
        to it; ``shipped``, whether it began from weights that come with the project; and what the
        probes found.

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
    arrays = _before_training(settings, name, size, before, fresh, root)
    window = {"window": problem.hamiltonian.model.sites}
    stages = [stage.model_copy(update=window) for stage in chosen.stages[arm.sizes[size]]]
    trained = training.train(
        problem,
        stages,
        seed=derive_seed(root, "samples"),
        title=f"{name}, size {size}",
        checkpoint=folder,
        checkpoint_seconds=settings.checkpoint_seconds,
        identity=identity(settings, name, size),
        inputs=fingerprint({"start": digest(before), "threads": settings.threads}),
        start=before,
        finished=finished,
    )
    arrays |= _after_training(settings, name, size, trained.parameters, fresh)
    arrays["cost"] = np.array(float(sum(cost(problem, stage) for stage in stages)))
    arrays["cost_total"] = arrays["cost"] + spent
    arrays["shipped"] = np.array(float(arm.shipped is not None and size == min(arm.sizes)))
    return arrays, trained.history, trained.tensors


def _before_training(
    settings: Settings, name: str, size: int, before: Arrays | None, fresh: Arrays, root: int
) -> Arrays:
    """Energies before the first step: zero-shot and shuffled where there is a size before, untrained.

    Args:
        before: tensors of the size before.
        fresh: random weights of this network.
        root: of the order in which the weights are shuffled.
    """
    averaged = settings.retraining.chains[name].averaged
    kinds = {"untrained": fresh}
    if before is not None:
        grown = parameters_of(before)
        check_parameters(grown, fresh, f"{name}, size {size}")
        order = generator(root, "shuffled")
        kinds = {"zero shot": grown, "shuffled": shuffled(grown, order)} | kinds
    arrays: Arrays = {}
    for kind, parameters in kinds.items():
        found = evaluate(settings, name, size, parameters, kind, averaged)
        prefix = kind.replace(" ", "_")
        arrays |= {f"{prefix}_{key}": found[key] for key in ("energy", "error", "variance")}
    return arrays


def _after_training(
    settings: Settings, name: str, size: int, parameters: Arrays, fresh: Arrays
) -> Arrays:
    """Final energies and samples, those of the network alone, and what the probes find.

    Args:
        parameters: trained weights.
        fresh: random ones, for the probes' control.
    """
    arm = settings.retraining.chains[name]
    arrays = evaluate(settings, name, size, parameters, "final", arm.averaged)
    arrays["energy_error"] = arrays.pop("error")
    if arm.averaged:
        plain = evaluate(settings, name, size, parameters, "plain", False)
        arrays |= {f"plain_{key}": value for key, value in plain.items()}
    if size in arm.probes:
        arrays |= probe(settings, name, size, parameters, fresh, arrays["samples"])
    return arrays


def tell_other_model(folder: Path, settings: Settings, name: str) -> None:
    """Say so where the weights that a wave function goes on from were trained for another model."""
    arm = settings.retraining.chains[name]
    tell_other_physics(
        folder,
        lambda recorded: recorded["retraining"]["chains"][arm.shipped or name],
        arm.model_dump(mode="json", include={"model", "geometry", "boundary", "field", "j2"}),
    )


def shuffled(parameters: Arrays, order: np.random.Generator) -> Arrays:
    """The same weights, of each array ``[seeds, ...]`` in another order: as large, and nothing learnt."""
    return {
        name: np.stack([order.permutation(one.ravel()).reshape(one.shape) for one in values])
        for name, values in sorted(parameters.items())
    }


def identity(settings: Settings, name: str, size: int) -> str:
    """Fingerprint of the settings that trained parameters depend on, smaller sizes' included."""
    chosen = settings.retraining
    arm = chosen.chains[name]
    # What is measured of a trained network changes nothing of it.
    own = arm.model_dump(exclude={"sizes", "samples", "probes", "averaged"})
    grown = {before: chosen.stages[arm.sizes[before]] for before in arm.sizes if before <= size}
    return fingerprint(
        {"name": name, "arm": own, "size": size}
        | {"stages": {str(one): [s.model_dump() for s in grown[one]] for one in grown}}
        | {"seed": settings.seed, "precision": chosen.precision}
    )


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


def cost(problem: EnergyMinimisation, stage: GrowthStage) -> float:
    """Cell evaluations of a stage: samples, gradient (counted as three passes) and branches."""
    model = problem.hamiltonian.model
    moves, sites = problem.hamiltonian.moves, model.sites
    images = len(moves.images(stage.symmetric)[0])
    followed = min(stage.truncation or sites, sites)
    branch = moves.per_position * (followed * (sites - followed) + followed * (followed + 1) / 2)
    return problem.seeds * stage.steps * stage.batch * images * (4.0 * sites + branch)
