"""The commands that judge a run, beside the stages that make it; each is thin, its work elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emergence.stages import Output, SettingsFile

Scale = Annotated[str, typer.Option(envvar="SCALE", help="Which results.")]
Ledgers = Annotated[Path, typer.Option(help="Folder of the claims ledger.")]
Results = Annotated[Path, typer.Option(help="Root of the results.")]
Figures = Annotated[Path, typer.Option(help="Root of the figures.")]
Record = Annotated[Path, typer.Option(help="The record of what each job costs.")]
JudgedAs = Annotated[
    str | None, typer.Option(help="Scale whose claims are decided, where it is not --scale.")
]

# In the image the code lies elsewhere than the results.
HOUSE = Path(os.environ.get("EMERGENCE_HOUSE") or ".")
CLAIMS, RESULTS, FIGURES = HOUSE / "claims", Path("results"), Path("figures")
COSTS = HOUSE / "config/costs.csv"


def report(
    scale: Scale = "laptop",
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
    figures: Figures = FIGURES,
    record: Record = COSTS,
    figures_of: Annotated[
        str | None, typer.Option(help="Scale whose figures are shown, where it is not --scale.")
    ] = None,
) -> None:
    """Write one self-contained page of verdicts and figures: results/<scale>/report.html."""
    from emergence.verification.page import write_report

    page = write_report(scale, ledgers, results, figures, record, figures_of)
    print(f"Wrote {page}; open it in a browser.")


def readme(
    document: Annotated[Path, typer.Option("--readme", help="The README.")] = Path("README.md"),
    scale: Scale = "laptop",
    figures: Figures = FIGURES,
    record: Record = COSTS,
) -> None:
    """Write the README's tables anew from what is committed, and the numbers of the certificate of drift."""
    from emergence.artifacts import read_numbers
    from emergence.settings import load
    from emergence.verification import drift, drift_report, drift_table
    from emergence.verification import readme as text
    from emergence.verification.audit import never_drawn
    from emergence.verification.costs import recorded_costs
    from emergence.verification.drawn import cost_table, load_drawn
    from emergence.verification.jobs import load_needs
    from emergence.verification.rehearsal import read_steps, steps_table
    from emergence.verification.underlying import fingerprints_shipped

    claims = text.claims_section(
        read_numbers(figures / scale / "verdict.json", required=["claims"])
    )
    chosen = load(HOUSE / f"config/{scale}.yaml")
    drawn = load_drawn(HOUSE / "workflow/figures.yaml")
    costs = cost_table(drawn, chosen, recorded_costs(record, scale))
    changed = text.put(document, claims, text.CLAIMS_MARKS)
    told = text.findings(HOUSE / "claims/findings.md", HOUSE / "weights" / scale)
    changed |= text.put(document, told, text.FINDINGS_MARKS)
    judged = read_numbers(figures / scale / "sabotage.json", required=["controls"])
    changed |= text.put(document, text.sabotage_table(judged), text.SABOTAGE_MARKS)
    changed |= text.put(document, costs, text.COSTS_MARKS)
    needs = load_needs(HOUSE / "workflow/needs.yaml")
    unaudited = text.undrawn(never_drawn(chosen, needs, HOUSE / "claims"))
    changed |= text.put(document, unaudited, text.UNDRAWN_MARKS)
    steps = read_steps(record.parent / "steps.csv")
    paper = steps_table(steps[steps["scale"] == "paper"])
    changed |= text.put(document, paper, text.STEPS_MARKS)
    certificate = figures / scale / "drift.csv"
    if certificate.is_file():
        earlier = drift_table.read_earlier(certificate)
        places = HOUSE / "claims", HOUSE / "weights" / scale
        of = fingerprints_shipped(
            places[1], HOUSE / f"config/{scale}.yaml", HOUSE / "workflow/needs.yaml", places[0]
        )
        present = drift.refreshed(earlier, scale, *places, of)
        drift_report.write(present, scale, figures / scale)
    print(f"The tables of {document} {'were written anew' if changed else 'are up to date'}.")


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


def crate(
    output: Output,
    settings: SettingsFile,
    scale: Scale = "laptop",
    house: Annotated[Path, typer.Option(help="Folder of the Snakefile.")] = Path("."),
    results: Results = RESULTS,
    figures: Figures = FIGURES,
) -> None:
    """Pack what was run and what came of it as a Workflow Run RO-Crate (.zip)."""
    from emergence.verification.crate import write_crate

    write_crate(scale, house, results, figures, settings, output)


def doctor(
    lock: Annotated[
        Path, typer.Option(envvar="EMERGENCE_LOCK", help="The lock to compare with.")
    ] = Path("requirements.lock"),
    results: Results = RESULTS,
    record: Record = COSTS,
    quick: Annotated[bool, typer.Option("--quick", help="Do not start TensorFlow.")] = False,
) -> None:
    """Say whether this machine can run the project, and what each scale will cost here."""
    from emergence.devices import usable_processors
    from emergence.verification import doctor as check
    from emergence.verification.expected import cost_lines

    findings = check.examine(lock, results, record, quick)
    for finding in findings:
        print(f"{finding.state:7} {finding.name:12} {finding}")
    for line in cost_lines(record, usable_processors()):
        print(f"{'cost':7} {line}")
    check.require(findings)


sabotage = typer.Typer(
    help="Break the physics on purpose; the claims must turn red.", no_args_is_help=True
)


@sabotage.command("case")
def sabotage_case(
    settings: SettingsFile,
    name: Annotated[str, typer.Option(help="Which breakage, such as dropped_jacobian.")],
    output: Output,
    ledgers: Ledgers = CLAIMS,
) -> None:
    """Run the smallest experiment that decides one claim, with one piece of the physics broken."""
    from emergence.verification.sabotage import run_case

    run_case(name, settings, ledgers, output)


@sabotage.command("judge")
def sabotage_judge(
    cases: Annotated[Path, typer.Option(help="Folder of what the cases came to.")],
    output: Output,
    scale: Scale = "laptop",
    judged_as: JudgedAs = None,
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
) -> None:
    """List every negative control; fail where one stayed green."""
    from emergence.verification.sabotage import CASES, judge

    files = [cases / f"{name}.json" for name in CASES]
    judge(files, ledgers, results / scale, judged_as or scale, output)


def register(app: typer.Typer) -> None:
    """Add every command of this module to the command line."""
    app.add_typer(sabotage, name="sabotage")
    app.command()(report)
    app.command()(readme)
    app.command()(costs)
    app.command()(crate)
    app.command()(doctor)
