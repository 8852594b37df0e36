"""What trainings from other seeds say of a verdict: how far another one may be off, and their mean.

The certificate of drift (:mod:`.drift`) has the spread of every number over trainings and, of those
whose values are kept, each value. A criterion that one training has not the power to decide asks for
their mean (``over_trainings``); all others are held against the spread (:func:`.outcomes.settled`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from emergence.artifacts import AGAIN
from emergence.errors import ArtifactError
from emergence.statistics import FEWEST, Measurement, random_effects
from emergence.verification.outcomes import Outcome, evaluate, settled
from emergence.verification.verdicts import Decision, worst

Values = Mapping[int, tuple[float, float | None]]
"""Number of a seed → what the training from it came to, and its standard error."""


class Spread(NamedTuple):
    """How much trainings scatter in one number."""

    spread: float
    """Standard deviation of single trainings."""
    trainings: int
    """How many it is of; of pooled spreads the degrees of freedom and one."""
    values: Values = MappingProxyType({})
    """Of trainings from other seeds, where they are kept; the run at hand is not among them."""


Spreads = Mapping[tuple[str, str], Spread]
"""(system, measurement) → its spread."""


def told(values: Values) -> str:
    """Values as a cell of a table, such as ``4:0.31:0.02 5:0.29`` (of the second no error is known)."""
    return " ".join(
        ":".join(repr(part) for part in (seed, *values[seed]) if part is not None)
        for seed in sorted(values)
    )


def parsed(text: str) -> dict[int, tuple[float, float | None]]:
    """What :func:`told` wrote.

    Raises:
        ArtifactError: the text is malformed, or a number in it is not finite.
    """
    found = {}
    for part in text.split():
        seed, _, numbers = part.partition(":")
        try:
            value, *error = map(float, numbers.split(":"))
            if len(error) > 1 or not all(map(math.isfinite, (value, *error))):
                raise ValueError
            found[int(seed)] = value, error[0] if error else None
        except ValueError:
            raise ArtifactError(f"'{part}' is no value of a training.", AGAIN) from None
    return found


def over_trainings(single: Measurement, others: Values) -> Measurement | None:
    """The mean over the training at hand and others; None where there are fewer than three.

    Its error holds their scatter, and is never less than the smallest that a single one has of its own:
    what is common to all of them, such as the estimator's, no number of trainings averages away.
    """
    pairs = [] if single.value is None else [(single.value, single.error)]
    pairs += others.values()
    if len(pairs) < FEWEST:
        return None
    values, errors = zip(*pairs, strict=True)
    if all(errors):
        mean, error = random_effects(values, errors)
        error = max(error, min(errors))
    else:
        mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
    return replace(single, value=mean, error=error, values=values, note="")


def of_difference(parts: Sequence[Measurement], spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return the spread of a number, or of the difference of two, as of an outcome.

    Seed by seed where enough trainings have both numbers, since what comes from one training goes
    together; else as of independent ones, with the degrees of freedom of Welch and Satterthwaite.
    """
    if len(spreads) > 1 and all(part.value is not None for part in parts):
        first, second = (spread.values for spread in spreads)
        differences = [parts[0].value - parts[1].value]
        differences += [first[seed][0] - second[seed][0] for seed in first if seed in second]
        if len(differences) >= FEWEST:
            spread = float(np.std(differences, ddof=1))
            return {"spread": spread, "trainings": len(differences), "freedom": None}
    variances = [one.spread**2 for one in spreads]
    total = sum(variances)
    shares = [part**2 / (one.trainings - 1) for part, one in zip(variances, spreads, strict=True)]
    return {
        "spread": math.sqrt(total),
        "trainings": min(one.trainings for one in spreads),
        "freedom": total**2 / sum(shares) if total > 0.0 and len(spreads) > 1 else None,
    }


def with_spreads(decisions: Iterable[Decision], certificate: Path) -> list[Decision]:
    """Fill in how much single trainings scatter, where no ensemble tells it, and decide by that too.

    Args:
        decisions: by the errors alone.
        certificate: drift.csv.

    Raises:
        ArtifactError: the certificate is corrupt.
    """
    from emergence.verification.drift_table import read_spreads  # pandas, half a second

    known = read_spreads(certificate)

    def decided(decision: Decision) -> Decision:
        if not decision.outcomes:
            return decision
        outcomes = tuple(_held(decision.system, one, known) for one in decision.outcomes)
        return replace(decision, outcomes=outcomes, verdict=worst(outcomes))

    return [decided(decision) for decision in decisions]


def _held(system: str, outcome: Outcome, known: Spreads) -> Outcome:
    """One outcome by all the trainings that are known."""
    found = [known.get((system, part.name)) for part in outcome.parts]
    if not found or None in found:
        return settled(outcome)
    if outcome.criterion.over_trainings:
        pairs = zip(outcome.parts, found, strict=True)
        means = {part.name: over_trainings(part, spread.values) for part, spread in pairs}
        if None not in means.values():
            return evaluate(outcome.criterion, means.__getitem__)
    if outcome.spread is None:
        outcome = replace(outcome, **of_difference(outcome.parts, found))
    return settled(outcome)
