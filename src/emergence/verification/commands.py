"""The commands that judge a run, beside the stages that make it; each is thin, its work elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Scale = Annotated[str, typer.Option(envvar="SCALE", help="Which results.")]
Ledgers = Annotated[Path, typer.Option(help="Folder of the claims ledger.")]
Results = Annotated[Path, typer.Option(help="Root of the results.")]
Figures = Annotated[Path, typer.Option(help="Root of the figures.")]
Record = Annotated[Path, typer.Option(help="The record of what each job costs.")]

CLAIMS, RESULTS, FIGURES = Path("claims"), Path("results"), Path("figures")
COSTS = Path("config/costs.csv")


def report(
    scale: Scale = "laptop",
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
    figures: Figures = FIGURES,
    record: Record = COSTS,
) -> None:
    """Write one self-contained page of verdicts and figures: results/<scale>/report.html."""
    from emergence.verification.page import write_report

    print(f"Wrote {write_report(scale, ledgers, results, figures, record)}; open it in a browser.")


def costs(scale: Scale = "laptop", results: Results = RESULTS, record: Record = COSTS) -> None:
    """Record what each job of a finished run cost, as what it is expected to cost from now on."""
    from emergence.errors import ArtifactError
    from emergence.verification import costs as measured

    found = measured.measured_costs(results / scale)
    if not found:
        raise ArtifactError(
            f"{results / scale} holds no benchmark.", "Run snakemake for that scale first."
        )
    measured.record(record, scale, [*found.values(), measured.calibrate()])
    total = sum(cost.cpu_s for cost in found.values())
    print(f"Recorded {len(found)} jobs of {total / 60:.0f} processor minutes in {record}.")


def register(app: typer.Typer) -> None:
    """Add every command of this module to the command line."""
    app.command()(report)
    app.command()(costs)
