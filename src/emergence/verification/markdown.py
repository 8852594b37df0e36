"""The verdicts as a document: ``verdict.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emergence.verification.claims import Ledger
from emergence.verification.numbers import number
from emergence.verification.outcomes import Outcome
from emergence.verification.verdicts import Decision
from emergence.verification.wording import (
    asked,
    justified,
    measured,
    scatter_line,
    summary,
)


def render_markdown(
    ledgers: Sequence[Ledger],
    decisions: Sequence[Decision],
    scale: str,
    link: Callable[[str], str | None],
) -> str:
    """Return verdict.md: a table per paper, every deviation with its reason, then every criterion.

    Args:
        ledgers: the ledgers decided.
        decisions: their claims' verdicts.
        scale: the scale they were decided at.
        link: returns the address of a figure such as "introspection/law", None where there is none.
    """
    lines = [f"# Verdicts at scale {scale}", "", summary(decisions), ""]
    for ledger in ledgers:
        paper = ledger.paper
        lines += [
            f"## {ledger.system.capitalize()}",
            "",
            f"{paper.authors}, *{paper.title}*, arXiv:{paper.arxiv}.",
            "",
            *_rows([d for d in decisions if d.system == ledger.system], link),
            "",
        ]
    for heading, verdict in (
        ("Deviations", "deviates"),
        ("Underpowered", "underpowered"),
        ("Not run", "not run"),
    ):
        chosen = [decision for decision in decisions if decision.verdict == verdict]
        if chosen:
            lines += [f"## {heading}", "", *map(_reason_line, chosen), ""]
    lines += ["## How each claim was decided", ""]
    for decision in decisions:
        lines += _criteria_lines(decision)
    return "\n".join(lines).rstrip() + "\n"


def _rows(decisions: Sequence[Decision], link: Callable[[str], str | None]) -> list[str]:
    """Return a markdown table, one row per claim."""
    headings = (
        "Claim",
        "Statement",
        "Published",
        "Measured",
        "Demanded",
        "Verdict",
        "Control",
        "Figure",
    )
    rows = [headings, ("---",) * len(headings)]
    for decision in decisions:
        claim = decision.claim
        verdict = f"**{decision.verdict}**"
        if not decision.matches:
            verdict += f", but expected {decision.expected}"
        elif decision.verdict == "deviates":
            verdict += ", as expected"
        if decision.rests_on_seed:
            verdict += ", by its seed"
        address = link(claim.figure) if claim.figure else None
        figure = f"[{claim.figure}]({address})" if address else claim.figure or "none"
        cells = (
            claim.id,
            f"{claim.statement} ({claim.place})",
            claim.published,
            measured(decision),
            asked(decision).allowed(),
            verdict,
            _control(decision),
            figure,
        )
        # |ψ|² would end the cell.
        rows.append(tuple(cell.replace("|", "\\|") for cell in cells))
    return [f"| {' | '.join(row)} |" for row in rows]


def _control(decision: Decision) -> str:
    """Return how the negative control came out, in a few words."""
    if decision.control is None:
        return "not run"
    outcome, name = decision.control.verdict, decision.claim.control.name
    if outcome == "deviates":
        return f"{name}: deviates, as it must"
    if decision.control_holds:
        return f"{name}: {outcome}, nothing to break"
    return f"{name}: {outcome}, but it must deviate"


def _reason_line(decision: Decision) -> str:
    as_expected = "as expected" if decision.matches else f"where {decision.expected} was expected"
    rests_on = [one for one in decision.outcomes if one.verdict == decision.verdict]
    notes = "; ".join(outcome.note for outcome in rests_on)
    reason = _stop(decision.reason or "The ledger gives no reason")
    return (
        f"- **{decision.claim.id}**, {as_expected}"
        + (f" ({notes})" if notes else "")
        + f": {_stop(decision.claim.statement)} {reason}"
    )


def _stop(text: str) -> str:
    """Return the text with a full stop at its end."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _criteria_lines(decision: Decision) -> list[str]:
    """Return a claim's criteria and control, each with its number and its justification."""
    if not decision.outcomes:
        return []
    lines = [f"**{decision.claim.id}**", ""]
    before = ""
    for outcome in decision.outcomes:
        why = justified(outcome.criterion)
        told = why if why != before else "The same bound for the same reason."
        lines.append(f"{_criterion_line(outcome)} {told} {scatter_line(outcome)}".strip())
        before = why
    control = decision.claim.control
    line = _criterion_line(decision.control)
    lines.append(f"{line} Control, {control.name}: {_stop(control.statement)}")
    if decision.positive:
        positive, line = decision.claim.positive, _criterion_line(decision.positive)
        lines.append(f"{line} As it must, {positive.name}: {_stop(positive.statement)}")
    return [*lines, ""]


def _criterion_line(outcome: Outcome) -> str:
    criterion = outcome.criterion
    name = getattr(criterion, "measure", criterion.test)
    seeds = "" if outcome.samples is None else f" over {outcome.samples} {outcome.counted}"
    return (
        f"- `{name}` = {number(outcome.measured, outcome.error)}{seeds}, demanded "
        f"{criterion.allowed()}: {outcome.verdict}, {outcome.note}."
    )
