"""The stages of retraining on the command line."""

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
    keep_training,
    stage,
)

retraining = typer.Typer(
    help="Quantum magnets inside a recurrent wave function grown size by size (arXiv:2003.06228).",
    no_args_is_help=True,
)


@retraining.command("grow")
def retraining_grow(
    settings: SettingsFile,
    arm: Arm,
    size: Annotated[int, typer.Option(help="Sites of a chain, or side of a square.")],
    output: Output,
    before: Annotated[
        Path | None, typer.Option(help="Weights to start from: of the size before, or shipped.")
    ] = None,
    trained: TrainedFolder = None,
) -> None:
    """Train one size of a growing wave function: weights/, trained.npz, arrays.npz, history.csv."""
    import shutil

    from emergence import artifacts

    arrays_file, history_file = output / "arrays.npz", output / "history.csv"
    written = [arrays_file, history_file, output / "weights", output / "trained.npz"]
    with stage("retraining grow", settings, written) as run:
        chosen = run["settings"]
        choose(chosen.retraining.chains, arm, "growing wave function")
        sizes = chosen.retraining.chains[arm].sizes
        choose({str(s): None for s in sizes}, str(size), f"size of {arm}")
        training = Training(trained, f"retraining/chains/{arm}/{size}", output)
        run["extra"] = training.provenance()
        from emergence.host import use_host
        from emergence.retraining import growth
        from emergence.weights import check_weights, read_weights, write_weights

        tensors, numbers = None, {}
        if before:
            check_weights(before)
            found, numbers = read_weights(before)
            growth.tell_other_model(before, chosen, arm)
            tensors = {name: found[name] for name in numbers.get("order", sorted(found))}
        run["device"] = use_host(chosen.threads, chosen.optimisation)
        spent = float(numbers.get("cost_total", 0.0))
        arrays, history, tensors = growth.grow(
            chosen, arm, size, tensors, spent, output / "checkpoint", training.finished
        )
        order = {"order": list(tensors), "cost_total": float(arrays["cost_total"])}
        write_weights(output / "weights", tensors, order)
        artifacts.write_table(history_file, history)
        artifacts.write_arrays(arrays_file, arrays)
        training.leave(output / "checkpoint")
    shutil.rmtree(output / "checkpoint", ignore_errors=True)


@retraining.command("ship")
def retraining_ship(
    settings: SettingsFile,
    weights: Annotated[Path, typer.Option(help="weights/ of a grown size.")],
    output: Output,
) -> None:
    """Keep the parameters of grown weights, and how they were grown, for others to go on from."""
    written = [output]
    with stage("retraining ship", settings, written) as run:
        from emergence.weights import check_weights, read_weights, write_weights

        check_weights(weights)
        tensors, numbers = read_weights(weights)
        kept = {name: tensors[name] for name in numbers["order"] if name.startswith("p/")}
        write_weights(output, kept, numbers | {"order": list(kept)})
        written += keep_training(run, weights, output)


add_readings(retraining, "retraining", "Energies, bulk values, correlations, memory")
