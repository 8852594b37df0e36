"""The verdicts as people and programs read them: a table, ``verdict.md`` and ``verdict.json``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emergence.artifacts import sha256, write_numbers, write_text
from emergence.errors import LedgerError, SettingsError
from emergence.provenance import code_in_use
from emergence.statistics import read_measurements
from emergence.verification.claims import SCALES, Ledger, load_ledgers
from emergence.verification.criteria import Ordering
from emergence.verification.markdown import render_markdown
from emergence.verification.outcomes import Outcome
from emergence.verification.seeds import certificate_of, with_spreads
from emergence.verification.verdicts import Decision, check, decide, must_decide
from emergence.verification.wording import (
    BASES,
    STYLES,
    asked,
    measured,
    scatter_line,
    summary,
)

COMMITTED_SCALE = "laptop"
"""The scale whose verdicts also stand beside its figures, which are committed."""
WIDE = 110
"""Terminals of fewer columns leave the statements to verdict.md."""


def verify(
    scale: str,
    ledgers: str | Path = "claims",
    results_root: str | Path = "results",
    figures_root: str | Path = "figures",
    report_only: bool = False,
    console: Console | None = None,
    judged_as: str | None = None,
    left_out: Mapping[str, str] = MappingProxyType({}),
    house: str | Path = ".",
) -> list[Decision]:
    """Decide every claim of every ledger at one scale, write the verdicts and print their table.

    Reads ``<results_root>/<scale>/<system>/measurements.json`` of every system that has a claim to
    decide. Writes verdict.json and verdict.md under ``<results_root>/<scale>/`` and, at the scale
    whose figures are committed, under ``<figures_root>/<scale>/`` too.

    Args:
        scale: whose results; "smoke", "laptop", "paper", or the name of a reader's own settings.
        ledgers: the folder of ledgers, or one of them.
        results_root: the folder of all results.
        figures_root: the folder of all figures.
        report_only: whether an unexpected verdict and a green control are only reported.
        console: where the table is printed; the standard output by default.
        judged_as: whose claims are decided, "smoke", "laptop" or "paper"; ``scale`` by default.
        left_out: claims that this run does not decide, each with why.
        house: the project's own folder, whose certificate of drift counts where ``figures_root`` has none.

    Raises:
        SettingsError: there are no claims of such a scale.
        LedgerError: a ledger is malformed, or a measurement is missing that decides a claim.
        ArtifactError: measurements are corrupt, or the verdicts cannot be written.
        VerdictMismatch: unless ``report_only``, once everything is written and printed.
    """
    judged_as = judged_as or scale
    if judged_as not in SCALES:
        choices = ", ".join(SCALES)
        raise SettingsError(
            f"'{judged_as}' is no scale.",
            f"Choose one of {choices}; for results of your own settings, add --judged-as.",
        )
    loaded = load_ledgers(ledgers)
    decisions, sources = _decided(loaded, Path(results_root, scale), judged_as, left_out)
    certificate = certificate_of(judged_as, Path(figures_root), Path(house))
    if certificate:
        decisions = with_spreads(decisions, certificate)
    seeds = {"drift_sha256": sha256(certificate) if certificate else None}
    contents = to_json(decisions, scale, code_in_use() | {"measurements_sha256": sources} | seeds)
    folders = [Path(results_root, scale)]
    if scale == COMMITTED_SCALE:
        folders.append(Path(figures_root, scale))
    for folder in folders:
        write_numbers(folder / "verdict.json", contents)
        link = _links(Path(figures_root, scale), folder)
        write_text(folder / "verdict.md", render_markdown(loaded, decisions, scale, link))
    console = console or Console()
    console.print(render_table(decisions, console.width >= WIDE))
    if not report_only:
        check(decisions)
    return decisions


def _decided(
    ledgers: Iterable[Ledger], results: Path, judged_as: str, left_out: Mapping[str, str]
) -> tuple[list[Decision], dict[str, str]]:
    """Every claim's decision, and the hash of the measurements of each system that was judged."""
    decisions: list[Decision] = []
    sources: dict[str, str] = {}
    for ledger in ledgers:
        measurements = {}
        if must_decide(ledger, judged_as, left_out):
            path = results / ledger.system / "measurements.json"
            if not path.is_file():
                raise LedgerError(
                    f"Claims of {ledger.system} must be decided at scale {judged_as}, but {path} is "
                    "missing.",
                    "Run snakemake for that scale first.",
                )
            measurements, sources[ledger.system] = read_measurements(path), sha256(path)
        decisions += decide(ledger, measurements, judged_as, left_out)
    return decisions, sources


def render_table(decisions: Sequence[Decision], statements: bool = True) -> Table:
    """Return a table for the terminal, one row per claim, with or without the statements."""
    table = Table(title=summary(decisions), title_justify="left")
    table.add_column("claim", no_wrap=True)
    for heading in (
        ("statement", "published", "measured") if statements else ("published", "measured")
    ):
        table.add_column(heading, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("control", no_wrap=True)
    for decision in decisions:
        claim, control = decision.claim, decision.control
        verdict = Text(decision.verdict, STYLES[decision.verdict])
        if decision.rests_on_seed:
            verdict.append("\nby its seed", "dim")
        if not decision.matches:
            verdict.append(f"\nnot {decision.expected}", "bold red")
        table.add_row(
            # Text, because a statement such as "[slides]" would be taken for markup.
            Text(claim.id),
            *([Text(claim.statement)] if statements else []),
            Text(claim.published),
            Text(measured(decision)),
            verdict,
            Text(
                control.verdict if control else "not run",
                "dim" if decision.control_holds else "bold red",
            ),
        )
    return table


def to_json(
    decisions: Sequence[Decision], scale: str, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what verdict.json holds."""
    return {
        "scale": scale,
        "claims": [_claim_entry(decision) for decision in decisions],
        "provenance": dict(provenance),
    }


def _claim_entry(decision: Decision) -> dict[str, Any]:
    claim, control = decision.claim, decision.control
    headline = decision.deciding
    criterion = asked(decision)
    return {
        "id": claim.id,
        "system": decision.system,
        "statement": claim.statement,
        "place": claim.place,
        "verdict": decision.verdict,
        "expected": decision.expected,
        "matches": decision.matches,
        "rests_on_seed": decision.rests_on_seed,
        "published": claim.published,
        "measured": headline.measured if headline else None,
        "error": headline.error if headline else None,
        "measure": getattr(criterion, "measure", None),
        "difference": isinstance(criterion, Ordering),
        "tolerance": criterion.allowed(),
        "control": {
            "name": claim.control.name,
            "statement": claim.control.statement,
            "criterion": claim.control.criterion,
            "measured": control.measured if control else None,
            "error": control.error if control else None,
            "verdict": control.verdict if control else "not run",
            "holds": decision.control_holds if control else None,
        },
        "positive": None
        if decision.positive is None
        else {
            "name": claim.positive.name,
            "statement": claim.positive.statement,
            "measured": decision.positive.measured,
            "error": decision.positive.error,
            "verdict": decision.positive.verdict,
            "holds": decision.positive_holds,
        },
        "criteria": [_criterion_entry(outcome) for outcome in decision.outcomes],
        "reason": decision.reason,
        "figure": claim.figure,
    }


def _criterion_entry(outcome: Outcome) -> dict[str, Any]:
    return {
        **outcome.criterion.model_dump(exclude_none=True),
        "demanded": outcome.criterion.allowed(),
        "measured": outcome.measured,
        "error": outcome.error,
        "samples": outcome.samples,
        "counted": outcome.counted,
        "verdict": outcome.verdict,
        "note": outcome.note,
        "spread": outcome.spread,
        "trainings": outcome.trainings,
        "rests_on": BASES[outcome.criterion.basis],
        "scatter": scatter_line(outcome),
    }


def _links(figures: Path, folder: Path) -> Callable[[str], str | None]:
    """Return how a document in ``folder`` links to the figures there are."""

    def link(figure: str) -> str | None:
        # A figure is <system>/<name>, and the folder of its scale has the systems below it.
        image = figures / f"{figure}.png"
        return Path(os.path.relpath(image, folder)).as_posix() if image.is_file() else None

    return link
