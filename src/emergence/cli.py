"""The command line: one subcommand per stage, the same that the workflow's rules call.

A stage reads its inputs, calls the library and writes its outputs with their provenance. Expected
failures end with one sentence and their own exit status; anything else is a bug and shows its
traceback.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

# TensorFlow reads these when it is imported, which only the training stages do.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Sums of NumPy's linear algebra depend on its threads: one, whatever the number of cores.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import typer

from emergence import __version__
from emergence.errors import EmergenceError, Interrupted, SettingsError

app = typer.Typer(
    name="emergence",
    help="Physics emerging inside neural networks: every stage of the reproduction by hand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
introspection = typer.Typer(
    help="The Schrödinger equation inside a potential-to-density translator (arXiv:1901.11103).",
    no_args_is_help=True,
)
retraining = typer.Typer(
    help="Quantum magnets inside a recurrent wave function grown size by size (arXiv:2003.06228).",
    no_args_is_help=True,
)
app.add_typer(introspection, name="introspection")
app.add_typer(retraining, name="retraining")

SettingsFile = Annotated[Path, typer.Option("--settings", help="Settings file of the run.")]
Output = Annotated[Path, typer.Option("--output", help="File or folder to write.")]
Arm = Annotated[str, typer.Option("--arm", help="Name of an arm in the settings.")]


DATASET_KEYS = ("train_potential", "train_density", "train_lead", "test_potential", "unit")


@contextmanager
def stage(name: str, settings_file: Path, outputs: list[Path]) -> Iterator[dict[str, Any]]:
    """Load the settings, run the body, record the provenance of what it wrote."""
    started = time.time()
    try:
        yield from _stage(name, settings_file, outputs, started)
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted before the stage was done.", "A rerun continues from its last checkpoint."
        ) from None


def _stage(
    name: str, settings_file: Path, outputs: list[Path], started: float
) -> Iterator[dict[str, Any]]:
    from emergence import artifacts
    from emergence.settings import load

    context: dict[str, Any] = {"settings": load(settings_file), "device": "CPU", "extra": None}
    yield context
    artifacts.record_provenance(
        outputs,
        stage=name,
        settings=context["settings"].model_dump(mode="json"),
        seed=context["settings"].seed,
        started=started,
        device=context["device"],
        extra=context["extra"],
    )


def _choose(table: dict[str, Any], name: str, what: str) -> None:
    if name not in table:
        raise SettingsError(
            f"There is no {what} named {name!r} in these settings.",
            f"Choose one of: {', '.join(sorted(table))}.",
        )


def _analyse(
    system: str, analyse: Callable[..., Any], settings: Path, results: Path, output: Path
) -> None:
    """What the analysis of every system writes: measurements and tables."""
    from emergence import artifacts
    from emergence.statistics import write_measurements

    measurements_file = output / "measurements.json"
    with stage(f"{system} analysis", settings, [measurements_file, output / "tables"]) as run:
        tables, measurements = analyse(run["settings"], results)
        for name, table in tables.items():
            artifacts.write_table(output / "tables" / f"{name}.csv", table)
        write_measurements(measurements_file, measurements)


def _draw(system: str, figures: Any, settings: Path, name: str, tables: Path, output: Path) -> None:
    """One figure of a system's table of figures."""
    _choose(figures.FIGURES, name, "figure")
    written = [output.with_suffix(suffix) for suffix in (".png", ".svg", ".csv")]
    with stage(f"{system} figure", settings, written):
        figures.draw(name, tables, output)


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
        _choose(chosen.introspection.datasets, dataset, "dataset")
        artifacts.write_arrays(output, datasets.make(chosen.introspection, dataset, chosen.seed))


@introspection.command("translator")
def introspection_translator(
    settings: SettingsFile,
    arm: Arm,
    data: Annotated[Path, typer.Option(help="The arm's dataset (.npz).")],
    output: Output,
) -> None:
    """Train one arm of translators: weights/, arrays.npz and history.csv in a folder."""
    _train("translator", settings, arm, output, [data])


@introspection.command("distiller")
def introspection_distiller(
    settings: SettingsFile,
    arm: Arm,
    data: Annotated[Path, typer.Option(help="The arm's dataset (.npz).")],
    translator: Annotated[Path, typer.Option(help="arrays.npz of the translator it reads.")],
    output: Output,
) -> None:
    """Train one arm of distillers: weights/, arrays.npz and history.csv in a folder."""
    _train("distiller", settings, arm, output, [data, translator])


def _train(kind: str, settings: Path, arm: str, output: Path, inputs: list[Path]) -> None:
    import shutil

    from emergence import artifacts

    arrays_file, history_file = output / "arrays.npz", output / "history.csv"
    written = [arrays_file, history_file, output / "weights"]
    with stage(f"introspection {kind}", settings, written) as run:
        chosen = run["settings"]
        _choose(getattr(chosen.introspection, f"{kind}s"), arm, f"{kind} arm")
        loaded = [artifacts.read_arrays(inputs[0], required=DATASET_KEYS)]
        if kind == "distiller":
            hidden = chosen.introspection.hidden_of(arm)
            weights = [f"h{hidden}/p/update", "unit"]
            loaded.append(artifacts.read_arrays(inputs[1], required=weights))
        from emergence.host import use_host
        from emergence.introspection import experiments
        from emergence.weights import write_weights

        run["device"] = use_host(chosen.threads)
        train = getattr(experiments, f"train_{kind}s")
        checkpoints = output / "checkpoints"
        arrays, history = train(chosen, arm, *loaded, checkpoints)
        weights = {k: v for k, v in arrays.items() if "/p/" in k}
        write_weights(output / "weights", weights)
        artifacts.write_table(history_file, history)
        artifacts.write_arrays(arrays_file, arrays)
    shutil.rmtree(checkpoints, ignore_errors=True)


@introspection.command("spectral")
def introspection_spectral(settings: SettingsFile, output: Output) -> None:
    """Fit the network-free baseline, spectral learning from Hankel matrices (.npz)."""
    from emergence import artifacts
    from emergence.introspection import analysis

    with stage("introspection spectral", settings, [output]) as run:
        artifacts.write_arrays(output, analysis.spectral_baseline(run["settings"]))


@introspection.command("analysis")
def introspection_analysis(
    settings: SettingsFile,
    results: Annotated[Path, typer.Option(help="Folder with data/, translators/ and so on.")],
    output: Output,
) -> None:
    """Read the law off every trained arm: measurements.json and the tables behind the figures."""
    from emergence.introspection import analysis

    _analyse("introspection", analysis.analyse, settings, results, output)


@introspection.command("figure")
def introspection_figure(
    settings: SettingsFile,
    name: Annotated[str, typer.Option(help="Name of a figure of this system.")],
    tables: Annotated[Path, typer.Option(help="Folder with the tables of the analysis.")],
    output: Annotated[Path, typer.Option(help="Path of the figure without its suffix.")],
) -> None:
    """Draw one figure: .png, .svg and its source .csv."""
    from emergence.introspection import figures

    _draw("introspection", figures, settings, name, tables, output)


@retraining.command("grow")
def retraining_grow(
    settings: SettingsFile,
    arm: Arm,
    size: Annotated[int, typer.Option(help="Sites of a chain, or side of a square.")],
    output: Output,
    before: Annotated[
        Path | None, typer.Option(help="Weights to start from: of the size before, or shipped.")
    ] = None,
) -> None:
    """Train one size of a growing wave function: weights/, arrays.npz and history.csv."""
    import shutil

    from emergence import artifacts

    arrays_file, history_file = output / "arrays.npz", output / "history.csv"
    written = [arrays_file, history_file, output / "weights"]
    with stage("retraining grow", settings, written) as run:
        chosen = run["settings"]
        _choose(chosen.retraining.chains, arm, "growing wave function")
        sizes = chosen.retraining.chains[arm].sizes
        _choose({str(s): None for s in sizes}, str(size), f"size of {arm}")
        from emergence.host import use_host
        from emergence.retraining import growth
        from emergence.weights import read_weights, write_weights

        tensors, numbers = read_weights(before) if before else (None, {})
        if tensors is not None:
            tensors = {name: tensors[name] for name in numbers.get("order", sorted(tensors))}
        run["device"] = use_host(chosen.threads)
        spent = float(numbers.get("cost_total", 0.0))
        arrays, history, tensors = growth.grow(
            chosen, arm, size, tensors, spent, output / "checkpoint"
        )
        order = {"order": list(tensors), "cost_total": float(arrays["cost_total"])}
        write_weights(output / "weights", tensors, order)
        artifacts.write_table(history_file, history)
        artifacts.write_arrays(arrays_file, arrays)
    shutil.rmtree(output / "checkpoint", ignore_errors=True)


@retraining.command("analysis")
def retraining_analysis(
    settings: SettingsFile,
    results: Annotated[Path, typer.Option(help="Folder with chains/.")],
    output: Output,
) -> None:
    """Energies, bulk values, correlations, memory: measurements.json and the figures' tables."""
    from emergence.retraining import analysis

    _analyse("retraining", analysis.analyse, settings, results, output)


@retraining.command("figure")
def retraining_figure(
    settings: SettingsFile,
    name: Annotated[str, typer.Option(help="Name of a figure of this system.")],
    tables: Annotated[Path, typer.Option(help="Folder with the tables of the analysis.")],
    output: Annotated[Path, typer.Option(help="Path of the figure without its suffix.")],
) -> None:
    """Draw one figure: .png, .svg and its source .csv."""
    from emergence.retraining import figures

    _draw("retraining", figures, settings, name, tables, output)


@app.command()
def verify(
    scale: Annotated[str, typer.Option(envvar="SCALE", help="Which results to judge.")] = "laptop",
    ledgers: Annotated[Path, typer.Option(help="Folder of the claims ledger.")] = Path("claims"),
    results: Annotated[Path, typer.Option(help="Root of the results.")] = Path("results"),
    figures: Annotated[Path, typer.Option(help="Root of the figures.")] = Path("figures"),
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Decide and write, but never fail on a verdict.")
    ] = False,
) -> None:
    """Decide every claim; fail where a verdict differs from the ledger's expectation."""
    from emergence.verification.report import verify as decide

    decide(scale, ledgers, results, figures, report_only)


@app.command()
def readme(
    document: Annotated[Path, typer.Option("--readme", help="The README.")] = Path("README.md"),
    verdict: Annotated[Path, typer.Option(help="The verdicts to show.")] = Path(
        "figures/laptop/verdict.json"
    ),
) -> None:
    """Write the README's claims table anew from the committed verdicts."""
    from emergence.verification.readme import update

    changed = update(document, verdict)
    print(f"The table of {document} {'was written anew' if changed else 'is up to date'}.")


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: shows that it runs.")] = False,
) -> None:
    """Measure the speed ratios of the README: ours against the naive way and against a peer."""
    from emergence.introspection import bench as introspection_bench

    introspection_bench.run(quick)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"emergence {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: run the command, tell an expected failure in one sentence."""
    try:
        app()
    except EmergenceError as error:
        print(f"emergence: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print(
            "emergence: Interrupted; a rerun continues from the last checkpoint.", file=sys.stderr
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
