"""The stages of introspection on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emergence.stages import (
    Arm,
    Output,
    SettingsFile,
    TrainedFolder,
    Training,
    add_readings,
    choose,
    stage,
)

introspection = typer.Typer(
    help="The Schrödinger equation inside a potential-to-density translator (arXiv:1901.11103).",
    no_args_is_help=True,
)

DATASET_KEYS = ("train_potential", "train_density", "train_lead", "test_potential", "unit")


@introspection.command("data")
def introspection_data(
    settings: SettingsFile,
    dataset: Annotated[str, typer.Option(help="Name of a dataset in the settings.")],
    output: Output,
) -> None:
    """Generate potentials, densities and lead densities of one dataset (.npz)."""
    from emergence import artifacts
    from emergence.introspection import dataset as datasets

    with stage("introspection data", settings, [output]) as run:
        chosen = run["settings"]
        choose(chosen.introspection.datasets, dataset, "dataset")
        artifacts.write_arrays(output, datasets.make(chosen.introspection, dataset, chosen.seed))


@introspection.command("translator")
def introspection_translator(
    settings: SettingsFile,
    arm: Arm,
    data: Annotated[Path, typer.Option(help="The arm's dataset (.npz).")],
    output: Output,
    trained: TrainedFolder = None,
) -> None:
    """Train one arm of translators: weights/, trained.npz, arrays.npz and history.csv."""
    _train("translator", settings, arm, output, [data], trained)


@introspection.command("distiller")
def introspection_distiller(
    settings: SettingsFile,
    arm: Arm,
    data: Annotated[Path, typer.Option(help="The arm's dataset (.npz).")],
    translator: Annotated[Path, typer.Option(help="arrays.npz of the translator it reads.")],
    output: Output,
    trained: TrainedFolder = None,
) -> None:
    """Train one arm of distillers: weights/, trained.npz, arrays.npz and history.csv."""
    _train("distiller", settings, arm, output, [data, translator], trained)


def _train(
    kind: str, settings: Path, arm: str, output: Path, inputs: list[Path], trained: Path | None
) -> None:
    import shutil

    from emergence import artifacts

    arrays_file, history_file = output / "arrays.npz", output / "history.csv"
    written = [arrays_file, history_file, output / "weights", output / "trained.npz"]
    with stage(f"introspection {kind}", settings, written) as run:
        chosen = run["settings"]
        choose(getattr(chosen.introspection, f"{kind}s"), arm, f"{kind} arm")
        training = Training(trained, f"introspection/{kind}s/{arm}", output)
        run["extra"] = training.provenance()
        loaded = [artifacts.read_arrays(inputs[0], required=DATASET_KEYS)]
        if kind == "distiller":
            hidden = chosen.introspection.hidden_of(arm)
            weights = [f"h{hidden}/p/update", "unit"]
            loaded.append(artifacts.read_arrays(inputs[1], required=weights))
        from emergence.host import use_host
        from emergence.introspection import experiments
        from emergence.weights import write_weights

        run["device"] = use_host(chosen.threads, chosen.optimisation)
        train = getattr(experiments, f"train_{kind}s")
        checkpoints = output / "checkpoints"
        arrays, history = train(chosen, arm, *loaded, checkpoints, training.finished)
        weights = {k: v for k, v in arrays.items() if "/p/" in k}
        write_weights(output / "weights", weights)
        artifacts.write_table(history_file, history)
        artifacts.write_arrays(arrays_file, arrays)
        training.leave(checkpoints)
    shutil.rmtree(checkpoints, ignore_errors=True)


@introspection.command("spectral")
def introspection_spectral(settings: SettingsFile, output: Output) -> None:
    """Fit the network-free baseline, spectral learning from Hankel matrices (.npz)."""
    from emergence import artifacts
    from emergence.introspection import analysis

    with stage("introspection spectral", settings, [output]) as run:
        artifacts.write_arrays(output, analysis.spectral_baseline(run["settings"]))


add_readings(introspection, "introspection", "Read the law off every trained arm")
