"""What an audit came to: a table in the terminal, ``audit.json`` and ``audit.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emergence.artifacts import write_numbers, write_text
from emergence.errors import VerdictMismatch
from emergence.provenance import code_in_use
from emergence.verification.audit import read_plan
from emergence.verification.comparison import ALPHA, FARTHEST, Compared, Spreads, compare

RESULTS = {True: "agrees", False: "disagrees", None: "no power"}
STYLES = {True: "green", False: "bold red", None: "yellow"}
COLUMNS = ("claims", "number", "retrained", "run", "test", "least change told", "result")


def judge(
    folder: Path,
    reference: Path,
    ledgers: Path,
    spreads: Spreads,
    console: Console | None = None,
) -> list[Compared]:
    """Compare an audit's numbers with those of the run, write and print what came of it.

    Args:
        folder: results of the audit, with its plan.json.
        reference: folder of the run that is checked.
        ledgers: the folder of ledgers.
        spreads: what is known of the spread of single trainings.
        console: where the table is printed; the standard output by default.

    Raises:
        ArtifactError: the plan or a measurement is missing or malformed, or nothing can be written.
        VerdictMismatch: a number disagrees, once everything is written and printed.
    """
    plan = read_plan(folder)
    rows = compare(plan["claims"], ledgers, reference, folder, spreads)
    write_numbers(folder / "audit.json", to_json(plan, reference, rows))
    write_text(folder / "audit.md", render_markdown(plan, reference, rows))
    (console or Console()).print(render_table(plan, rows))
    worse = [row for row in rows if row.agrees is False]
    if worse:
        told = "; ".join(
            f"{row.name} of {', '.join(row.claims)} is {row.ours}, where the run has {row.theirs} "
            f"({row.note})"
            for row in worse
        )
        raise VerdictMismatch(
            f"{len(worse)} of {len(rows)} audited numbers disagree with the run: {told}.",
            f"Read {folder / 'audit.md'}; audit with another seed to see whether it comes again.",
        )
    return rows


def summary(plan: Mapping[str, object], rows: Sequence[Compared]) -> str:
    """Return in a few sentences what was done and what came of it."""
    tested = [row for row in rows if row.p is not None]
    worse = [row for row in rows if row.agrees is False]
    idle = sum(row.agrees is None for row in rows)
    text = (
        f"Seed {plan['seed']} drew {', '.join(plan['drawn'])}. Of {len(rows)} numbers {len(tested)} "
        f"are tested, with a chance of {ALPHA:.0%} that any of them disagrees although nothing "
        f"differs (Holm); {_of_power(tested)}"
    )
    if len(tested) < len(rows):
        text += f"; {len(rows) - len(tested)} are judged by the criteria of their claims"
    verb = "disagrees" if len(worse) == 1 else "disagree"
    result = f"{len(worse)} {verb}." if worse else "All agree."
    if idle:
        result = f"{len(worse)} {verb}, {len(rows) - idle - len(worse)} agree, {idle} had no power."
    return f"{text}. {result}"


def _of_power(tested: Sequence[Compared]) -> str:
    """Return as a clause how many of the tests could have told something."""
    able = [row for row in tested if row.agrees is not None]
    return (
        f"{len(able)} of these tests have power, which is to tell a change by at most {FARTHEST:g} "
        "spreads of single trainings"
    )


def least_change(row: Compared) -> str:
    """Return the smallest change of a number that would be told, in its unit and in spreads."""
    if row.least is None:
        return "–" if row.p is None else "none"
    if row.least_in_spreads is None:
        return f"{row.least:.2g}"
    return f"{row.least:.2g} ({row.least_in_spreads:.1f} spreads)"


def render_table(plan: Mapping[str, object], rows: Sequence[Compared]) -> Table:
    """Return a table for the terminal, one row per number."""
    table = Table(title=summary(plan, rows), title_justify="left")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        verdict = Text(RESULTS[row.agrees], STYLES[row.agrees])
        cells = (
            ", ".join(row.claims), row.name, row.ours, row.theirs, row.test, least_change(row)
        )  # fmt: skip
        table.add_row(*map(Text, cells), verdict.append(f" ({row.note})", "dim"))
    return table


def render_markdown(plan: Mapping[str, object], reference: Path, rows: Sequence[Compared]) -> str:
    """Return audit.md."""
    lines = [
        f"# Audit with seed {plan['seed']}",
        "",
        summary(plan, rows),
        "",
        f"Compared with {reference.as_posix()}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    for row in rows:
        result = RESULTS[row.agrees]
        verdict = f"{f'**{result}**' if row.agrees is False else result} ({row.note})"
        cells = (
            ", ".join(row.claims),
            f"`{row.name}`",
            row.ours,
            row.theirs,
            row.test,
            least_change(row),
            verdict,
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def to_json(
    plan: Mapping[str, object], reference: Path, rows: Sequence[Compared]
) -> dict[str, object]:
    """Return what audit.json holds."""
    return {
        "seed": plan["seed"],
        "drawn": plan["drawn"],
        "claims": plan["claims"],
        "compared_with": reference.as_posix(),
        "family_wise_error": ALPHA,
        "numbers": [asdict(row) for row in rows],
        "agrees": all(row.agrees is not False for row in rows),
        "provenance": code_in_use(),
    }
