"""The stages of holography on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from emergence.stages import (
    Arm,
    Output,
    SampledFolder,
    SettingsFile,
    TrainedFolder,
    Training,
    add_readings,
    choose,
    drawn_with,
    keep_training,
    stage,
    take_samples,
)

holography = typer.Typer(
    help="The renormalisation group inside a hierarchical flow (arXiv:1903.00804).",
    no_args_is_help=True,
)

Size = Annotated[int, typer.Option(help="Side of the torus.")]
Weights = Annotated[Path, typer.Option(help="weights/ of a trained flow.")]


@holography.command("reference")
def holography_reference(settings: SettingsFile, size: Size, output: Output) -> None:
    """Measure the phase diagram of one torus by a cluster Monte Carlo, for comparison."""
    with stage("holography reference", settings, [output]) as run:
        diagram = run["settings"].holography.diagram
        choose({str(side): None for side in diagram.sides}, str(size), "side of the diagram")
        from emergence import artifacts
        from emergence.holography import reference

        artifacts.write_arrays(output, reference.line(run["settings"], size))


@holography.command("plane")
def holography_plane(settings: SettingsFile, output: Output) -> None:
    """Measure the map of order against t and μ by the cluster Monte Carlo."""
    with stage("holography plane", settings, [output]) as run:
        from emergence import artifacts
        from emergence.errors import SettingsError
        from emergence.holography import reference

        if run["settings"].holography.plane is None:
            raise SettingsError("These settings have no map of the plane.", "Add the key plane.")
        artifacts.write_arrays(output, reference.plane(run["settings"]))


@holography.command("flow")
def holography_flow(
    settings: SettingsFile,
    arm: Arm,
    size: Size,
    output: Output,
    before: Annotated[
        Path | None, typer.Option(help="Weights to start from: of the side before, or shipped.")
    ] = None,
    trained: TrainedFolder = None,
) -> None:
    """Train one side of a flow: weights/, trained.npz, arrays.npz, history.csv and timing.json."""
    import shutil

    from emergence import artifacts

    files = {name: output / name for name in ("arrays.npz", "history.csv", "timing.json")}
    written = [*files.values(), output / "weights", output / "trained.npz"]
    with stage("holography flow", settings, written) as run:
        chosen = run["settings"]
        choose(chosen.holography.flows, arm, "flow")
        choose(
            {str(s): None for s in chosen.holography.flows[arm].sizes}, str(size), f"side of {arm}"
        )
        training = Training(trained, f"holography/flows/{arm}/{size}", output)
        run["extra"] = training.provenance()
        from emergence.holography import growth
        from emergence.host import use_host

        start = growth.read_flow(before) if before else None
        if before:
            growth.tell_other_theory(before, chosen, arm)
        run["device"] = use_host(chosen.threads, chosen.optimisation)
        checkpoint = output / "checkpoint"
        arrays, history, parameters, pace = growth.grow(
            chosen, arm, size, start, checkpoint, training.finished
        )
        pace = training.pace if trained else (pace if pace == pace else None)
        growth.write_flow(output / "weights", parameters, size)
        artifacts.write_table(files["history.csv"], history)
        artifacts.write_numbers(files["timing.json"], {"seconds_per_step": pace})
        artifacts.write_arrays(files["arrays.npz"], arrays)
        training.leave(checkpoint)
    shutil.rmtree(output / "checkpoint", ignore_errors=True)


@holography.command("rates")
def holography_rates(
    settings: SettingsFile,
    arm: Arm,
    size: Size,
    rates: Annotated[list[float], typer.Option("--rate", help="A learning rate to try.")],
    before: Annotated[
        Path | None, typer.Option(help="Weights of the side before, where there is one.")
    ] = None,
    estimators: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator", help="Of the gradient: path, reparameterised; the stages' own."
        ),
    ] = None,
    candidates: Annotated[
        list[int] | None, typer.Option(help="Starts of the first stage; the stages' own.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=64, help="Trainings of each.")] = 1,
    output: Annotated[Path, typer.Option(help="The table that keeps them.")] = Path(
        "config/rates.csv"
    ),
) -> None:
    """Train one side of a flow at several rates, and keep how far from the theory each ends."""
    with stage("holography rates", settings, []) as run:
        chosen = run["settings"]
        choose(chosen.holography.flows, arm, "flow")
        entry = chosen.holography.flows[arm]
        choose({str(s): None for s in entry.sizes}, str(size), f"side of {arm}")
        from emergence.errors import SettingsError
        from emergence.holography import growth
        from emergence.holography import rates as scans
        from emergence.host import use_host

        if before is None and (entry.shipped or entry.starts_from(arm, size)):
            raise SettingsError(
                f"{arm} of side {size} goes on from weights.",
                f"Name them: --before results/{chosen.scale}/holography/flows/.../weights.",
            )
        start = growth.read_flow(before) if before else None
        use_host(chosen.threads, chosen.optimisation)
        stages = chosen.holography.stages[entry.sizes[size]]
        every = scans.choices(stages, rates, estimators or [], candidates or [])
        checkpoints = Path("results/rates")
        scans.scan(chosen, arm, size, every, start, output, checkpoints, seeds=seeds)


@holography.command("ship")
def holography_ship(settings: SettingsFile, weights: Weights, output: Output) -> None:
    """Keep the parameters of a trained flow, and how it was trained, for others to go on from."""
    written = [output]
    with stage("holography ship", settings, written) as run:
        from emergence.holography import growth

        growth.write_flow(output, *growth.read_flow(weights))
        written += keep_training(run, weights, output)


@holography.command("chains")
def holography_chains(
    settings: SettingsFile,
    name: Annotated[str, typer.Option(help="Entry of chains in the settings.")],
    weights: Weights,
    output: Output,
    before: Annotated[
        Path | None, typer.Option(help="Records drawn beforehand, which the run continues.")
    ] = None,
    sampled: SampledFolder = None,
) -> None:
    """Run Markov chains in the bulk of a flow or on its boundary: arrays.npz, timing.json."""
    from emergence import artifacts

    checkpoint = output / "checkpoint.npz"

    files = [output / "arrays.npz", output / "timing.json"]
    with stage("holography chains", settings, files) as run:
        chosen = run["settings"]
        choose(chosen.holography.chains, name, "run of chains")
        if sampled:
            arrays, timing = _taken(run, sampled, "chains", name)
            if chosen.holography.chains[name].cold:
                timing = _timed(run, name, weights, arrays)
        else:
            from emergence.holography import chains

            parameters = _parameters(run, weights)
            arrays, timing = chains.run(chosen, name, parameters, checkpoint, before)
        artifacts.write_numbers(files[1], timing)
        artifacts.write_arrays(files[0], arrays)
    checkpoint.unlink(missing_ok=True)


@holography.command("ship-chains")
def holography_ship_chains(
    settings: SettingsFile,
    arrays: Annotated[Path, typer.Option(help="arrays.npz of a finished run of chains.")],
    output: Output,
) -> None:
    """Keep the records of a run of chains, without its cold start, for others to continue."""
    with stage("holography ship-chains", settings, [output]):
        import numpy as np

        from emergence import artifacts
        from emergence.holography.chain_records import series_of

        kept = artifacts.read_arrays(arrays, ["field", "tuned"])
        told = {name: values for name, values in kept.items() if not name.startswith("cold_")}
        # Their noise is far above the rounding of single precision.
        told |= {name: told[name].astype(np.float32) for name in series_of(told)}
        artifacts.write_arrays(output, told, compressed=True)


@holography.command("bulk")
def holography_bulk(
    settings: SettingsFile,
    name: Annotated[str, typer.Option(help="Entry of bulks in the settings.")],
    weights: Weights,
    output: Output,
    sampled: SampledFolder = None,
) -> None:
    """Push true samples of the boundary into the bulk and measure what its parts share."""
    from emergence import artifacts

    checkpoint = output.with_suffix(".checkpoint.npz")
    with stage("holography bulk", settings, [output]) as run:
        chosen = run["settings"]
        choose(chosen.holography.bulks, name, "study of a bulk")
        if sampled:
            arrays, _ = _taken(run, sampled, "bulks", name)
        else:
            from emergence.holography import bulk_study

            arrays = bulk_study.study(chosen, name, _parameters(run, weights), checkpoint)
        artifacts.write_arrays(output, arrays)
    checkpoint.unlink(missing_ok=True)


def _taken(
    run: dict[str, Any], sampled: Path, kind: str, name: str
) -> tuple[dict[str, Any], dict[str, float]]:
    """The shipped samples of a study, of these settings, and the times that were measured."""
    from emergence.holography.identity import study_of

    settings = run["settings"]
    known = study_of(settings, getattr(settings.holography, kind)[name])
    return take_samples(run, sampled, f"holography/{kind}/{name}", known)


def _timed(
    run: dict[str, Any], name: str, weights: Path, arrays: dict[str, Any]
) -> dict[str, float]:
    """Times of chains that are compared with others: taken here, whoever drew the records."""
    from emergence.errors import ArtifactError
    from emergence.holography import chains

    if "tuned" not in arrays:
        raise ArtifactError(
            f"The shipped samples of {name} do not tell how their chains moved.",
            "Sample: leave --sampled out.",
        )
    taken_from = run["extra"]
    parameters = _parameters(run, weights)
    run["extra"] = taken_from  # the records are what was not drawn here
    return chains.time_of(run["settings"], name, parameters, arrays["tuned"])


def _parameters(run: dict[str, Any], weights: Path) -> dict[str, Any]:
    """Those of the flow that samples are drawn with, which the record beside them then tells."""
    from emergence.holography import growth
    from emergence.host import use_host

    parameters, _ = growth.read_flow(weights)
    device = use_host(run["settings"].threads, run["settings"].optimisation)
    run |= {"device": device, "extra": drawn_with(weights)}
    return parameters


add_readings(holography, "holography", "Compare the flows with exact and Monte Carlo values")
