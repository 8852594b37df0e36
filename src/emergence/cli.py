"""The command line: one subcommand per stage, the same that the workflow's rules call.

A stage reads its inputs, calls the library and writes its outputs with their provenance. Expected
failures end with one sentence and their own exit status; anything else is a bug and shows its
traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

# TensorFlow reads these when it is imported, which only the training stages do.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Keras is not used: without its third version TensorFlow starts a second sooner.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# Sums of NumPy's linear algebra depend on its threads: one, whatever the number of cores.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
# XLA's older way to write loops for processors: a flow's step compiles in two thirds of the memory and
# runs up to a third faster. What the user asks for comes later and is taken.
os.environ["XLA_FLAGS"] = " ".join(
    ["--xla_cpu_use_fusion_emitters=false", *os.environ.get("XLA_FLAGS", "").split()]
)

import typer

from emergence import __version__
from emergence.errors import EmergenceError, Interrupted, SettingsError
from emergence.holography.commands import holography
from emergence.introspection.commands import introspection
from emergence.retraining.commands import retraining
from emergence.verification import commands as verification
from emergence.verification import rerun_commands

app = typer.Typer(
    name="emergence",
    help="Physics emerging inside neural networks: every stage of the reproduction by hand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(introspection, name="introspection")
app.add_typer(holography, name="holography")
app.add_typer(retraining, name="retraining")
verification.register(app)
rerun_commands.register(app)


@app.command()
def verify(
    scale: Annotated[str, typer.Option(envvar="SCALE", help="Which results to judge.")] = "laptop",
    ledgers: Annotated[
        Path, typer.Option(help="Folder of the claims ledger.")
    ] = verification.CLAIMS,
    results: Annotated[Path, typer.Option(help="Root of the results.")] = Path("results"),
    figures: Annotated[Path, typer.Option(help="Root of the figures.")] = Path("figures"),
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Decide and write, but never fail on a verdict.")
    ] = False,
    judged_as: Annotated[
        str | None, typer.Option(help="Scale whose claims are decided, where it is not --scale.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="plan.json of `emergence plan`: only what it chose.")
    ] = None,
) -> None:
    """Decide every claim; fail where a verdict differs from the ledger's expectation."""
    from emergence.verification.budget import read_left_out
    from emergence.verification.report import verify as decide

    left_out = read_left_out(plan) if plan else {}
    decide(
        scale,
        ledgers,
        results,
        figures,
        report_only,
        judged_as=judged_as,
        left_out=left_out,
        house=verification.HOUSE,
    )


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: shows that it runs.")] = False,
    system: Annotated[
        Literal["all", "introspection", "holography", "retraining", "devices"],
        typer.Option(help="Whose speed; devices: of sharing batches among them."),
    ] = "all",
    threads: Annotated[int, typer.Option(min=1, help="Of the retraining steps.")] = 1,
) -> None:
    """Measure the speed ratios of the README: ours against the naive way and against peers."""
    from emergence import device_speed
    from emergence.holography import bench as holography_bench
    from emergence.introspection import bench as introspection_bench
    from emergence.retraining import bench as retraining_bench

    measures = {
        "introspection": lambda: introspection_bench.run(quick),
        "holography": lambda: holography_bench.run(quick),
        "retraining": lambda: retraining_bench.run(quick, threads),
        "devices": lambda: device_speed.run(quick),
    }
    if system != "retraining" and threads != retraining_bench.THREADS:
        raise SettingsError(
            "TensorFlow's threads are fixed once in a process.", "Add --system retraining."
        )
    for name, measure in measures.items():
        if system in (name, "all"):
            measure()


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
    except Interrupted as error:
        _leave(error)
    except EmergenceError as error:
        print(f"emergence: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        _leave(Interrupted("Interrupted.", "A rerun continues from the last checkpoint."))


def _leave(error: Interrupted) -> NoReturn:
    """Say that somebody interrupted, and end without tidying up.

    TensorFlow's threads may be in the midst of a step: an interpreter that takes itself apart beneath
    them ends in a segmentation fault now and then instead of its exit status. Nothing is lost, since
    outputs are whole or absent at any moment.
    """
    print(f"emergence: {error}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(error.exit_status)


if __name__ == "__main__":
    main()
