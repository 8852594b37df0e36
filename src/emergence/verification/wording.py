"""What is told of a decision in words and numbers, the same in every table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from emergence.verification.criteria import Criterion, Ordering
from emergence.verification.numbers import number
from emergence.verification.outcomes import PREDICTION, Outcome
from emergence.verification.verdicts import Decision

STYLES = {
    "reproduced": "green",
    "compatible": "cyan",
    "underpowered": "yellow",
    "deviates": "red",
    "not run": "dim",
}
"""Verdicts in the order in which they are told, and their colours in a terminal."""

BASES = {
    "spread": "the scatter of single trainings",
    "statement": "the statement itself",
    "published": "what was published",
    "resolution": "what can be told apart",
    "physics": "another scale of the problem",
    "choice": "a choice of this project",
}
"""What a bound rests on, see :data:`~emergence.verification.criteria.Basis`."""

OURS = "ours"
"""How the place of a claim begins that no paper makes."""


def summary(decisions: Sequence[Decision]) -> str:
    """Return how many claims came to which verdict, and whether that was expected."""
    unexpected = [d.claim.id for d in decisions if not d.matches]
    green = [d.claim.id for d in decisions if not d.control_holds]
    text = tally([(d.verdict, d.claim.place) for d in decisions]) + " "
    text += (
        f"Not as the ledger expects: {', '.join(unexpected)}. "
        if unexpected
        else "Every verdict is the one that the ledger expects. "
    )
    if seeds := [d.claim.id for d in decisions if d.rests_on_seed]:
        text += (
            f"Another seed may decide otherwise, as far as the trainings tell that were run (the "
            f"{PREDICTION:.0%} interval of another one), on {', '.join(seeds)}. "
        )
    if green:
        return text + f"Controls that did not turn red: {', '.join(green)}."
    idle = [d.claim.id for d in decisions if d.control and d.control.verdict != "deviates"]
    if idle:
        # The criterion had no power over the claim either, so that there was nothing to break.
        return text + (
            "Every negative control turned red, but those of criteria without power: "
            f"{', '.join(idle)}."
        )
    return text + "Every negative control that was run turned red."


def tally(decided: Sequence[tuple[str, str]]) -> str:
    """How many claims came to which verdict, those of the papers apart.

    Args:
        decided: verdict and place of each claim.
    """
    number = len(decided)
    text = f"{number} {'claim' if number == 1 else 'claims'}: {_counts(decided)}."
    theirs = [one for one in decided if not one[1].startswith(OURS)]
    if theirs and len(theirs) < number:
        text += (
            f" Of the papers' own, {len(theirs)}: {_counts(theirs)}; the other {number - len(theirs)} "
            "are stricter readings and checks of this project."
        )
    return text


def _counts(decided: Sequence[tuple[str, str]]) -> str:
    counts = Counter(verdict for verdict, _ in decided)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in STYLES if counts[verdict])


def measured(decision: Decision) -> str:
    """Return the number that a claim's verdict rests on, with its error."""
    headline = decision.deciding
    if headline is None:
        return "not run"
    told = number(headline.measured, headline.error)
    return f"difference {told}" if isinstance(headline.criterion, Ordering) else told


def asked(decision: Decision) -> Criterion:
    """The criterion that the verdict rests on; of a claim that is not run, its first."""
    return decision.deciding.criterion if decision.deciding else decision.claim.criteria[0]


def justified(criterion: Criterion) -> str:
    """Return the reason of a bound, and what it rests on."""
    why = criterion.justification
    why = why if why.endswith((".", "!", "?")) else f"{why}."
    return f"{why} The bound rests on {BASES[criterion.basis]}."


def scatter_line(outcome: Outcome) -> str:
    """Return how much single trainings scatter beside the room that the bound leaves; or nothing."""
    if outcome.spread is None:
        return ""
    told = f"Single trainings scatter by {outcome.spread:.2g} ({outcome.trainings} of them"
    if outcome.extremes:
        told += f", from {outcome.extremes[0]:.2g} to {outcome.extremes[1]:.2g}"
    if outcome.by_mean:
        return f"{told}); their mean decides."
    left = outcome.room
    if left is None or not outcome.spread:
        return f"{told})."
    times = left / outcome.spread
    told += f"); to where the criterion turns it is {left:.2g}, {times:.2g} times that"
    if outcome.reach is None:
        return f"{told}."
    told += f", and another training may be {outcome.reach:.2g} off ({PREDICTION:.0%})"
    if (
        outcome.verdict == "underpowered"
        or getattr(outcome.criterion, "fraction", None) is not None
    ):
        return f"{told}."
    if outcome.rests_on_seed:
        return f"{told}, which is more than that: its seed decides."
    if outcome.reach <= left:
        return f"{told}, which is less than that."
    return f"{told}, no more than its own error tells, in which it is asked."
