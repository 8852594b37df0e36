"""The commands that check a run without all of its work: by shipped weights, in part, or by a sample."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emergence.stages import Output
from emergence.verification.commands import (
    CLAIMS,
    FIGURES,
    HOUSE,
    RESULTS,
    Figures,
    Ledgers,
    Results,
    Scale,
)

if TYPE_CHECKING:
    from emergence.verification.jobs import Pace

Config = Annotated[Path, typer.Option(help="Folder of the scales' settings.")]
NeedsFile = Annotated[Path, typer.Option("--needs", help="Which arms decide each claim.")]
NEEDS, CONFIG = HOUSE / "workflow/needs.yaml", HOUSE / "config"


def ship(
    output: Output,
    results: Annotated[Path, typer.Option(help="Results of one finished scale.")] = Path(
        "results/laptop"
    ),
    limit: Annotated[float, typer.Option(min=0.1, help="Megabytes in all.")] = 20.0,
) -> None:
    """Pack the trained weights and long samplings of a finished run, with hashes, for others."""
    from emergence.verification import packing

    for line in packing.told(packing.ship(results, output, limit)):
        print(line)


def plan(
    budget: Annotated[
        str | None, typer.Option(help="Wall time there is, such as 30m or 1.5h.")
    ] = None,
    trained: Annotated[
        Path | None,
        typer.Option(help="Shipped weights to evaluate instead: all that needs no training."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Draw long samplings again although they are shipped.")
    ] = False,
    scale: Scale = "laptop",
    cores: Annotated[int, typer.Option(min=0, help="Processors to use; 0: all.")] = 0,
    config: Config = CONFIG,
    needs: NeedsFile = NEEDS,
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
) -> None:
    """Choose the claims that can be decided in a given time, from shipped weights alone, or both."""
    from emergence.errors import SettingsError
    from emergence.settings import load
    from emergence.verification import budget as part
    from emergence.verification.jobs import load_needs

    if budget is None and trained is None:
        raise SettingsError(
            "A plan is for a time or for shipped weights.", "Give --budget or --trained."
        )
    if trained is not None:
        from emergence.shipped import VERIFY_SCALE, read_manifest
        from emergence.verification import shipping

        manifest = read_manifest(trained)
        read = shipping.at_hand(load(config / f"{scale}.yaml"), manifest)
        lines = shipping.write_evaluation(
            manifest,
            config / f"{scale}.yaml",
            load_needs(needs),
            ledgers,
            results / VERIFY_SCALE,
            _pace(config, VERIFY_SCALE, cores, scale, manifest.samples, () if anew else read),
            part.parse_budget(budget) if budget else None,
            anew=anew,
        )
        print("\n".join(lines))
        return
    seconds = part.parse_budget(budget)
    settings_file = config / f"{scale}.yaml"
    pace = _pace(config, scale, cores)
    chosen = part.choose(
        load(settings_file), load_needs(needs), pace.costs, seconds, scale, ledgers, pace.cores,
        pace.ratio,
    )  # fmt: skip
    for line in part.told(part.of_some_claim(chosen, seconds), seconds):
        print(line)
    part.write_plan(chosen, settings_file, scale, results / part.BUDGET_SCALE)


def agreement(
    trained: Annotated[Path, typer.Option(help="The shipped weights that were evaluated.")],
    scale: Scale = "verify",
    results: Results = RESULTS,
) -> None:
    """Say which numbers of an evaluation are bit for bit those of the run that shipped the weights."""
    from emergence.verification.shipping import agreement as agreeing

    print("\n".join(agreeing(results / scale, trained)))


audit = typer.Typer(
    help="Run a random sample of the trainings again with your own seed, and compare.",
    no_args_is_help=True,
)
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Your own: any but the run's.")]
Weights = Annotated[Path, typer.Option(help="Root of the shipped weights.")]
WEIGHTS = HOUSE / "weights"


@audit.command("plan")
def audit_plan(
    seed: Seed,
    jobs: Annotated[int, typer.Option(min=1, help="Arms to draw, at most.")] = 3,
    budget: Annotated[
        str | None, typer.Option(help="Wall time there is, such as 30m; what takes longer is left.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Draw what is shipped too, and make it from nothing.")
    ] = False,
    origin: Annotated[Path, typer.Option(help="Settings of what is shipped.")] = CONFIG
    / "shipped.yaml",
    scale: Scale = "laptop",
    cores: Annotated[int, typer.Option(min=0, help="Processors to use; 0: all.")] = 0,
    config: Config = CONFIG,
    needs: NeedsFile = NEEDS,
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
    weights: Weights = WEIGHTS,
) -> None:
    """Draw trainings from the seed; say what will be run again, how long it takes, what it tests."""
    from emergence.settings import load
    from emergence.verification import audit as drawing
    from emergence.verification.budget import parse_budget
    from emergence.verification.jobs import load_needs

    drawing.reference_of(scale, results, weights)
    settings = load(config / f"{scale}.yaml")
    seconds = parse_budget(budget) if budget else None
    pace = _pace(config, scale, cores)
    if anew:
        from emergence.verification.origin import with_pace

        settings, pace = with_pace(settings, load(origin), pace)
    drawn = drawing.draw(settings, load_needs(needs), pace, ledgers, seed, jobs, seconds)
    drawing.write_audit(drawn, settings, results / drawn.scale)
    print("\n".join(drawing.told(drawn, settings)))


@audit.command("judge")
def audit_judge(
    seed: Seed,
    scale: Scale = "laptop",
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
    figures: Figures = FIGURES,
    weights: Weights = WEIGHTS,
) -> None:
    """Test the numbers of an audit against those of the run; fail where one disagrees."""
    from emergence.verification import audit as drawing
    from emergence.verification.audit_report import judge
    from emergence.verification.drift_table import read_spreads

    reference = drawing.reference_of(scale, results, weights)
    spreads = read_spreads(figures / scale / "drift.csv")
    judge(results / drawing.scale_of(seed), reference, ledgers, spreads)


drift = typer.Typer(
    help="How much each claimed number moves when what should not matter changes.",
    no_args_is_help=True,
)


@drift.command("plan")
def drift_plan(
    scale: Scale = "laptop",
    trained: Annotated[
        Path | None, typer.Option(help="Shipped weights; by default weights/<scale>.")
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="An eighth of the samples; without chains and bulks.",
        ),
    ] = False,
    sampled: Annotated[
        bool, typer.Option("--sampled", help="Only chains and bulks, which --fast leaves out.")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(help="Time for trainings from other seeds, such as 2h; none: 0.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, max=99, help="Other seeds to train from.")] = 4,
    first: Annotated[
        int, typer.Option(min=1, help="Number of the first of them, after those of before.")
    ] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A claim whose numbers are asked for; may be repeated. None: all."),
    ] = None,
    seeds_only: Annotated[
        bool, typer.Option(help="Train from other seeds; evaluate the shipped weights no more.")
    ] = False,
    anew: Annotated[
        list[str] | None,
        typer.Option(help="A claim whose shipped weights and records are made again too."),
    ] = None,
    origin: Annotated[Path, typer.Option(help="Settings of what is shipped.")] = CONFIG
    / "shipped.yaml",
    cores: Annotated[int, typer.Option(min=0, help="Processors to use; 0: all.")] = 0,
    config: Config = CONFIG,
    needs: NeedsFile = NEEDS,
    ledgers: Ledgers = CLAIMS,
    results: Results = RESULTS,
    weights: Weights = WEIGHTS,
) -> None:
    """Write the settings of every run that the drift is measured from; say what they are."""
    from emergence.errors import SettingsError
    from emergence.settings import load
    from emergence.shipped import read_manifest
    from emergence.verification import drift_runs
    from emergence.verification.budget import parse_budget
    from emergence.verification.jobs import load_needs

    if (anew or seeds_only or first > 1) and not budget:
        raise SettingsError("Trainings from other seeds need time.", "Give --budget, such as 2h.")
    lines = drift_runs.plan(
        read_manifest(trained or weights / scale),
        config / f"{scale}.yaml",
        load_needs(needs),
        ledgers,
        results,
        fast=fast,
        sampled=sampled,
        evaluate=not seeds_only,
        pace=_pace(config, scale, cores) if budget else None,
        budget_s=parse_budget(budget) if budget else None,
        seeds=seeds,
        first=first,
        only=only or (),
        origin=load(origin) if anew else None,
        anew=anew or (),
    )
    print("\n".join(lines))


@drift.command("measure")
def drift_measure(
    scale: Scale = "laptop",
    trained: Annotated[
        Path | None, typer.Option(help="Shipped weights; by default weights/<scale>.")
    ] = None,
    ledgers: Ledgers = CLAIMS,
    config: Config = CONFIG,
    needs: NeedsFile = NEEDS,
    results: Results = RESULTS,
    figures: Figures = FIGURES,
    weights: Weights = WEIGHTS,
) -> None:
    """Compare these runs; drift.csv in the folder of the figures keeps what they did not vary."""
    from emergence.verification import drift as measured
    from emergence.verification import drift_report, drift_table
    from emergence.verification.underlying import fingerprints_shipped

    shipped = trained or weights / scale
    of = fingerprints_shipped(shipped, config / f"{scale}.yaml", needs, ledgers)
    known = figures / scale / "drift.csv"
    kept = drift_table.read_kept(known)
    frame = drift_table.dated(measured.measure(scale, scale, ledgers, results, shipped, of, kept))
    if known.is_file():
        frame = drift_table.joined(frame, drift_table.read_earlier(known), of)
    drift_report.write(frame, scale, figures / scale)
    print(drift_report.told(frame), f"Read {figures / scale / 'drift.md'}.")


STEPS = HOUSE / "config/steps.csv"
READING_S = 1.0
"""Seconds that shipped samples take to be read."""


def rehearse(
    scale: Scale = "paper",
    flow: Annotated[
        list[str] | None, typer.Option(help="Only the trainings of this flow; may be repeated.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Trainings compiled side by side; each is timed alone.")
    ] = 1,
    config: Config = CONFIG,
    record: Annotated[Path, typer.Option(help="The record of what a step costs.")] = STEPS,
) -> None:
    """Run a few steps of every flow, to tell what a scale would cost on this machine; record it."""
    from emergence.verification import rehearsal

    chosen = rehearsal.trainings(config / f"{scale}.yaml", flow or ())
    print(rehearsal.steps_table(rehearsal.rehearse(chosen, record, jobs)))


def _pace(
    config: Path,
    scale: str,
    cores: int,
    trained_at: str | None = None,
    samples: Collection[str] = (),
    read: Collection[str] = (),
) -> Pace:
    """How long jobs of a scale take on this machine.

    Of an evaluation, what does not train takes as long as where its weights were trained, and so do
    shipped samplings that are drawn again; those that are read take a moment, or as long as recorded.
    """
    from emergence.devices import usable_processors
    from emergence.settings import load
    from emergence.verification.costs import CALIBRATION, Cost, calibrate, recorded_costs
    from emergence.verification.jobs import Pace, training_jobs

    costs = own = recorded_costs(config / "costs.csv", scale)
    if trained_at:
        trained = training_jobs(load(config / f"{trained_at}.yaml"))
        there = recorded_costs(config / "costs.csv", trained_at)
        costs = {job: cost for job, cost in there.items() if job not in trained} | costs
        costs |= {job: there[job] for job in samples if job in there}
        costs |= {job: own.get(job, Cost(job, READING_S, READING_S, 0.0)) for job in read}
    base = costs.pop(CALIBRATION, None)
    ratio = calibrate().cpu_s / base.cpu_s if base else 1.0
    return Pace(costs, cores or usable_processors(), ratio, scale)


def register(app: typer.Typer) -> None:
    """Add every command of this module to the command line."""
    app.add_typer(audit, name="audit")
    app.add_typer(drift, name="drift")
    app.command()(plan)
    app.command()(ship)
    app.command()(agreement)
    app.command()(rehearse)
