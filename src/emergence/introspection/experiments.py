"""The two trainings as experiments: arrays and settings in, arrays out.

One arm of the settings is one call; each size it lists is one ensemble of seeds, trained as one
batched computation and resumed from its own checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from emergence import training
from emergence.artifacts import Arrays
from emergence.finished import Finished
from emergence.introspection import dataset, distiller, translator
from emergence.randomness import derive_seed, generator
from emergence.settings import Settings, fingerprint
from emergence.statistics import relative_rms


def train_translators(
    settings: Settings,
    name: str,
    data: Arrays,
    folder: Path,
    finished: Mapping[str, Finished] | None = None,
) -> tuple[Arrays, pd.DataFrame]:
    """Train one arm of translators and measure their errors.

    Args:
        name: key of ``settings.introspection.translators``.
        data: arrays of :func:`emergence.introspection.dataset.make`.
        folder: where checkpoints live until the arm is done.
        finished: trainings to take instead of training.

    Returns:
        Arrays ``h<hidden>/…``: ``p/<parameter>`` ``[seeds, …]``, ``error_test``
        ``[seeds, systems]`` (RMS error over RMS density inside the window), ``error_long``
        ``[seeds, systems, lengths]``, ``error_segment`` ``[seeds, systems, segments]``,
        ``prediction`` ``[seeds, families, sites]`` (the first long system of each family); and the
        history table.
    """
    chosen = settings.introspection
    arm = chosen.translators[name]
    root = derive_seed(settings.seed, "translator", name)
    rng = generator(root, "measured")
    density, lead = data["train_density"], lead_of(settings, data["train_lead"])
    density = dataset.with_noise(density, arm.noise, chosen.seeds, rng)
    if arm.noise:
        noisy = dataset.with_noise(data["train_lead"], arm.noise, chosen.seeds, rng)
        lead = lead_of(settings, noisy)
    else:
        lead = lead[None]
    if arm.shuffled:
        density = dataset.shuffle_systems(density[0], rng)[None]
    arrays: Arrays = {"unit": data["unit"], "families": data["families"]}
    histories = []
    for hidden in arm.hidden:
        shape = _translator_shape(settings, name, hidden, float(data["unit"]))
        problem = translator.TranslatorProblem(
            shape, chosen.seeds, root, data["train_potential"], density, lead, settings.precision
        )
        trained = training.train(
            problem,
            chosen.stages[arm.stages],
            seed=derive_seed(root, hidden),
            title=f"translator {name}, hidden dimension {hidden}",
            checkpoint=folder / f"hidden-{hidden}",
            checkpoint_seconds=settings.checkpoint_seconds,
            identity=identity(settings, "translators", name, hidden),
            inputs=inputs(settings, data),
            finished=finished,
        )
        key = f"h{hidden}"
        arrays |= {f"{key}/p/{k}": v for k, v in trained.parameters.items()}
        arrays |= {f"{key}/loss": trained.loss}
        errors = _translator_errors(settings, shape, trained.parameters, data)
        arrays |= {f"{key}/{k}": v for k, v in errors.items()}
        histories.append(trained.history.assign(arm=name, size=hidden))
    return arrays, pd.concat(histories, ignore_index=True)


def identity(settings: Settings, kind: str, name: str, size: int) -> str:
    """Fingerprint of the settings that one ensemble's numbers depend on, beside its own stages."""
    chosen = settings.introspection
    arm = getattr(chosen, kind)[name]
    common = chosen.model_dump(exclude={"datasets", "stages", "translators", "distillers"})
    if chosen.data_seed is None:
        # A key that is not given leaves what was trained before there was it as it is.
        del common["data_seed"]
    content = {
        "kind": kind,
        "name": name,
        "arm": arm.model_dump(exclude={"hidden", "latent"}),
        "size": size,
        "data": chosen.datasets[arm.dataset].model_dump(),
        "common": common,
        "run": {"seed": settings.seed, "precision": settings.precision},
    }
    if kind == "distillers":
        read = chosen.translators[arm.translator]
        content["hidden"] = chosen.hidden_of(name)
        content["translator"] = identity(
            settings, "translators", arm.translator, chosen.hidden_of(name)
        )
        content["before"] = [stage.model_dump() for stage in chosen.stages[read.stages]]
    return fingerprint(content)


def inputs(settings: Settings, data: Arrays) -> str:
    """Fingerprint of the numbers that an ensemble is trained on, and of what rounds them."""
    sums = {
        key: float(np.abs(value).sum()) for key, value in data.items() if value.dtype.kind in "fc"
    }
    return fingerprint({"data": sums, "threads": settings.threads})


def lead_of(settings: Settings, lead: np.ndarray) -> np.ndarray:
    """Densities at the detectors ``[..., 3]`` as the translator is given them, ``[..., 3]``."""
    chosen = settings.introspection
    distance = chosen.lead_sites * chosen.spacing
    return translator.lead_coordinates(lead, distance, chosen.start_wavenumber)


def _translator_shape(settings: Settings, name: str, hidden: int, unit: float) -> translator.Shape:
    arm = settings.introspection.translators[name]
    learnt = settings.introspection.datasets[arm.dataset].start == "single"
    return translator.Shape(hidden, arm.degree, arm.readout, learnt, unit)


def _translator_errors(
    settings: Settings, shape: translator.Shape, parameters: Arrays, data: Arrays
) -> Arrays:
    """Relative RMS errors inside the window, at every length and per segment."""
    chosen = settings.introspection
    predicted, _ = translator.evaluate(
        shape, parameters, lead_of(settings, data["test_lead"])[None], data["test_potential"]
    )
    truth = np.broadcast_to(data["test_density"], predicted.shape)
    errors = {"error_test": relative_rms(predicted, truth, axis=2)}
    predicted, _ = translator.evaluate(
        shape, parameters, lead_of(settings, data["long_lead"])[None], data["long_potential"]
    )
    truth = np.broadcast_to(data["long_density"], predicted.shape)
    lengths = [chosen.window, *chosen.extrapolation]
    errors["error_long"] = np.stack(
        [relative_rms(predicted[..., :n], truth[..., :n], axis=2) for n in lengths], axis=-1
    )
    cuts = np.arange(0, predicted.shape[2] - chosen.window + 1, chosen.window)
    errors["error_segment"] = np.stack(
        [
            relative_rms(
                predicted[..., c : c + chosen.window], truth[..., c : c + chosen.window], axis=2
            )
            for c in cuts
        ],
        axis=-1,
    )
    first = [int(np.argmax(data["long_family"] == f)) for f in range(len(data["families"]))]
    errors["prediction"] = predicted[:, first]
    return errors


def train_distillers(
    settings: Settings,
    name: str,
    data: Arrays,
    translators: Arrays,
    folder: Path,
    finished: Mapping[str, Finished] | None = None,
) -> tuple[Arrays, pd.DataFrame]:
    """Train one arm of distillers on the hidden states of trained translators, seed by seed.

    Args:
        name: key of ``settings.introspection.distillers``.
        data: the arm's dataset.
        translators: arrays of :func:`train_translators`.
        folder: where checkpoints live until the arm is done.
        finished: trainings to take instead of training.

    Returns:
        Arrays ``n<latent>/…``: ``p/<parameter>`` ``[seeds, …]``, ``loss`` ``[seeds]`` (on test
        windows), ``latent`` ``[seeds, systems, sites + 1, latent]`` for up to three latents, and
        ``untrained/update``, the linear update before training; ``unit``; and the history table.
    """
    chosen = settings.introspection
    arm = chosen.distillers[name]
    hidden_size = chosen.hidden_of(name)
    root, unit = derive_seed(settings.seed, "distiller", name), float(translators["unit"])
    hidden, whitening = _whitened(settings, arm.translator, hidden_size, data, translators)
    potential = data["train_potential"]
    if arm.shuffled:
        potential = dataset.shuffle_systems(potential, generator(root, "shuffled"))
    arrays: Arrays = {"unit": np.array(unit), "whitening": whitening}
    histories = []
    for latent in arm.latent:
        distilled = distiller.Shape(hidden_size, latent, arm.degree, arm.decoder, arm.cell, unit)
        problem = distiller.DistillerProblem(
            distilled, chosen.seeds, root, potential, hidden["train"], settings.precision
        )
        trained = training.train(
            problem,
            chosen.stages[arm.stages],
            seed=derive_seed(root, latent),
            title=f"distiller {name}, latent dimension {latent}",
            checkpoint=folder / f"latent-{latent}",
            checkpoint_seconds=settings.checkpoint_seconds,
            identity=identity(settings, "distillers", name, latent),
            inputs=inputs(settings, data | {"hidden": hidden["train"]}),
            finished=finished,
        )
        key = f"n{latent}"
        latents, loss = distiller.evaluate(
            distilled, trained.parameters, hidden["test"], data["test_potential"]
        )
        arrays |= {f"{key}/p/{k}": v for k, v in trained.parameters.items()}
        arrays |= {f"{key}/loss": loss, f"{key}/training_loss": trained.loss}
        if latent <= 3:
            arrays[f"{key}/latent"] = latents
        if arm.cell == "linear":
            arrays[f"{key}/untrained/update"] = problem.initial_parameters()["update"]
        histories.append(trained.history.assign(arm=name, size=latent))
    return arrays, pd.concat(histories, ignore_index=True)


def _whitened(
    settings: Settings, name: str, hidden_size: int, data: Arrays, translators: Arrays
) -> tuple[Arrays, np.ndarray]:
    """Hidden states of trained translators on the windows of each split, and what whitened them.

    Returns:
        ``train`` and ``test``, ``[seeds, systems, sites + 1, hidden]``; the matrices
        ``[seeds, hidden, hidden]``.
    """
    shape = _translator_shape(settings, name, hidden_size, float(translators["unit"]))
    prefix = f"h{hidden_size}/p/"
    weights = {k.removeprefix(prefix): v for k, v in translators.items() if k.startswith(prefix)}
    hidden = {}
    for split in ("train", "test"):
        lead = lead_of(settings, data[f"{split}_lead"])[None]
        _, hidden[split] = translator.evaluate(shape, weights, lead, data[f"{split}_potential"])
    whitening = dataset.whitening(hidden["train"])
    return {k: np.einsum("snta,sab->sntb", v, whitening) for k, v in hidden.items()}, whitening
