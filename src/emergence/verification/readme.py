"""The README's tables, written from the committed verdicts and costs so that they cannot differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emergence.artifacts import write_text
from emergence.errors import ArtifactError
from emergence.statistics import Measurement, read_measurements
from emergence.verification import numbers
from emergence.verification.wording import tally

CLAIMS_MARKS = "<!-- claims: begin -->", "<!-- claims: end -->"
COSTS_MARKS = "<!-- costs: begin -->", "<!-- costs: end -->"
STEPS_MARKS = "<!-- steps: begin -->", "<!-- steps: end -->"
SABOTAGE_MARKS = "<!-- sabotage: begin -->", "<!-- sabotage: end -->"
FINDINGS_MARKS = "<!-- findings: begin -->", "<!-- findings: end -->"
UNDRAWN_MARKS = "<!-- undrawn: begin -->", "<!-- undrawn: end -->"
"""Between these stands what is written here."""


def number(value: float | None, error: float | None = 0.0) -> str:
    """A measured value with its standard error, or a dash."""
    return "–" if value is None else numbers.number(value, error)


def table(verdict: dict[str, Any]) -> str:
    """Markdown table of verdict.json: one row per claim."""
    rows = [
        "| claim | statement | published | measured | bound | verdict | negative control |",
        "|---|---|---|---|---|---|---|",
    ]
    for claim in verdict["claims"]:
        control = claim["control"]
        cells = [
            claim["id"],
            claim["statement"],
            claim["published"],
            _measured(claim),
            str(claim["tolerance"]) if claim["tolerance"] is not None else "–",
            f"**{claim['verdict']}**" + (", by its seed" if claim["rests_on_seed"] else ""),
            f"{control['name']}: {_shortly(control['measured'])} ({control['verdict']})",
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _measured(claim: Mapping[str, Any]) -> str:
    """The number that a verdict rests on, with its error and its name."""
    told = number(claim["measured"], claim["error"])
    if claim["measured"] is None:
        return told
    return f"difference {told}" if claim["difference"] else f"{told} (`{claim['measure']}`)"


def _shortly(value: float | None) -> str:
    """A number of which only the size matters."""
    return "–" if value is None else f"{float(f'{value:.3g}'):g}"


def claims_section(verdict: dict[str, Any]) -> str:
    """How many claims came to which verdict, and their table."""
    decided = [(claim["verdict"], claim["place"]) for claim in verdict["claims"]]
    return f"{tally(decided)}\n\n{table(verdict)}"


def sabotage_table(judged: dict[str, Any]) -> str:
    """Markdown table of sabotage.json: a row per breakage of an experiment, beside it whole."""
    rows = ["| what is broken | claim and bound | intact run | broken run |", "|---|---|---|---|"]
    whole: dict[str, Any] = {}
    for row in judged["controls"]:
        if "demanded" not in row:  # a control of the ledger, which stands in its own table
            continue
        if row["must"] == "pass":
            whole = row
            continue
        cells = [
            row["control"],
            f"{row['claim']} ({row['demanded']})",
            number(whole["measured"], whole["error"]),
            number(row["measured"], row["error"]),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def undrawn(claims: Mapping[str, Sequence[str]]) -> str:
    """Which claims no audit draws, and why.

    Args:
        claims: from :func:`.audit.never_drawn`.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, arms in claims.items():
        alike.setdefault(tuple(arms), []).append(name)
    idle = alike.pop((), [])
    parts = []
    if alike:
        told = [
            f"{', '.join(names)} ({', '.join(f'`{arm}`' for arm in arms)})"
            for arms, names in alike.items()
        ]
        parts.append(
            "An arm that only goes on from shipped weights or records is drawn with `ANEW=1` alone, which "
            f"makes them from nothing; without it these claims are not audited: {'; '.join(told)}."
        )
    if idle:
        parts.append(f"Nothing is trained for {', '.join(idle)}, which no audit draws either.")
    return " ".join(parts) or "Every claim may be drawn."


def findings(template: Path, shipped: Path) -> str:
    """What the verdicts mean, with the numbers that were measured.

    Args:
        template: Markdown with ``{measurement}`` in it, see :func:`.numbers.filled`.
        shipped: folder of the measurements of each system.

    Raises:
        ArtifactError: the template cannot be read, a measurement is corrupt, or none has the name.
        LedgerError: it asks for a number in a format that is none.
    """
    measured = {
        name: found
        for path in sorted(shipped.glob("*/measurements.json"))
        for name, found in read_measurements(path).items()
    }

    def find(name: str) -> Measurement:
        if name not in measured:
            raise ArtifactError(
                f"{template} tells of {name!r}, which was not measured.", "Correct it."
            )
        return measured[name]

    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ArtifactError(
            f"{template} cannot be read ({what}).", "git checkout restores it."
        ) from None
    return numbers.filled(text.strip(), find, template)


def put(readme: Path, content: str, marks: tuple[str, str]) -> bool:
    """Put a table between two marks of the README; whether anything changed.

    Raises:
        ArtifactError: the README lacks the marks, or cannot be read or written.
    """
    begin, end = marks
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ArtifactError(
            f"{readme} cannot be read ({what}).", "git checkout restores it."
        ) from None
    if end not in text.partition(begin)[2]:
        raise ArtifactError(
            f"{readme} lacks the marks {begin} and {end}.", "Restore them around the table."
        )
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    new = f"{before}{begin}\n{content}\n{end}{after}"
    if new == text:
        return False
    write_text(readme, new)
    return True
