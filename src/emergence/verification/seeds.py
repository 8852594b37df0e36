"""What trainings from other seeds say of a verdict: how far another one may be off, and their mean.

The certificate of drift (:mod:`.drift`) has the spread of every number over trainings and, of those
whose values are kept, each value. A criterion that one training has not the power to decide asks for
their mean (``over_trainings``); all others are held against the spread (:func:`.outcomes.settled`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from emergence.statistics import FEWEST, Measurement, random_effects
from emergence.verification.numbers import number
from emergence.verification.outcomes import MARGIN, PREDICTION, Outcome, evaluate, settled
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
    seeds: frozenset[int] = frozenset()
    """Numbers of all the seeds that it is of, 0 for the run that shipped the weights."""

    @property
    def complete(self) -> bool:
        """Whether the value of each training is kept."""
        return bool(self.values) and self.seeds <= {0, *self.values}


Spreads = Mapping[tuple[str, str], Spread]
"""(system, measurement) → its spread."""


def certificate_of(judged_as: str, figures: Path, house: Path) -> Path | None:
    """The certificate of drift by which claims of a scale are decided too, if there is one.

    That of the figures at hand, else the one of the project's own folder (in a container results and
    figures lie in another).
    """
    places = (Path(root, judged_as, "drift.csv") for root in (figures, house / "figures"))
    return next((path for path in places if path.is_file()), None)


def as_cell(values: Values) -> str:
    """Values as a cell of a table, such as ``4:0.31:0.02 5:0.29`` (of the second no error is known)."""
    return " ".join(
        ":".join(repr(part) for part in (seed, *values[seed]) if part is not None)
        for seed in sorted(values)
    )


def from_cell(text: str) -> dict[int, tuple[float, float | None]]:
    """What :func:`as_cell` wrote.

    Raises:
        ValueError: the text is malformed, a seed is in it twice or is none, a number is not finite or
            an error is negative.
    """
    found: dict[int, tuple[float, float | None]] = {}
    for part in text.split():
        seed, _, rest = part.partition(":")
        value, *error = map(float, rest.split(":"))
        well = re.fullmatch("[1-9][0-9]*", seed) and int(seed) not in found and len(error) < 2
        if not well or not all(map(math.isfinite, (value, *error))) or min(error, default=0.0) < 0:
            raise ValueError(f"'{part}' is no value of a training")
        found[int(seed)] = value, error[0] if error else None
    return found


def mean_over(single: Measurement, others: Values, sigmas: float) -> Measurement | None:
    """The mean over the training at hand and others, by random effects.

    Its error holds their scatter, by Student's t: so many of these errors hold what as many of a normal
    number do. It is never less than what it would be if the trainings' own errors were all the same draw:
    what is common to them, such as the estimator's, no number of trainings averages away.

    Args:
        single: the training at hand.
        others: trainings from other seeds.
        sigmas: in how many errors the mean is asked.

    Returns:
        None where there are fewer than three, where an error is not known, or where the training at hand
        lies apart from the others: its recipe may be another one.
    """
    from scipy.special import ndtr, stdtrit

    pairs = [] if single.value is None else [(single.value, single.error)]
    pairs += others.values()
    if len(pairs) < FEWEST or not all(error for _, error in pairs):
        return None
    if lies_apart(single, others):
        return None
    values, errors = zip(*pairs, strict=True)
    found = random_effects(values, errors)
    times = float(stdtrit(len(values) - 1, ndtr(sigmas))) / sigmas
    error = max(times * found.error, found.common)
    if not math.isfinite(found.mean) or not math.isfinite(error):
        return None
    return replace(single, value=found.mean, error=error, values=values, note="")


def lies_apart(single: Measurement, others: Values) -> bool:
    """Whether a training lies farther from the others than :data:`.outcomes.PREDICTION` of trainings do."""
    from scipy.special import stdtrit

    if single.value is None or len(others) < 2 or not all(error for _, error in others.values()):
        return False
    values, errors = zip(*others.values(), strict=True)
    found = random_effects(values, errors)
    off = math.hypot(found.between, single.error or 0.0, found.error)
    within = float(stdtrit(len(values) - 1, (1.0 + PREDICTION) / 2.0)) * off
    return abs(single.value - found.mean) > within


def of_difference(parts: Sequence[Measurement], spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return the spread of a number, or of the difference of two, as of an outcome.

    Seed by seed where the values of all trainings are kept, since what comes from one training goes
    together; else as of independent ones, with the degrees of freedom of Welch and Satterthwaite.
    """
    if len(spreads) > 1 and all(part.value is not None for part in parts):
        first, second = (spread.values for spread in spreads)
        differences = [parts[0].value - parts[1].value]
        differences += [first[seed][0] - second[seed][0] for seed in first if seed in second]
        whole = first.keys() == second.keys() and all(spread.complete for spread in spreads)
        if whole and len(differences) >= FEWEST:
            spread = deviation(differences)
            return {"spread": spread, "trainings": len(differences), "freedom": None}
    variances = [one.spread**2 for one in spreads]
    total = sum(variances)
    shares = [part**2 / (one.trainings - 1) for part, one in zip(variances, spreads, strict=True)]
    return {
        "spread": math.sqrt(total),
        "trainings": min(one.trainings for one in spreads),
        "freedom": total**2 / sum(shares) if total > 0.0 and len(spreads) > 1 else None,
    }


def deviation(values: Iterable[float]) -> float:
    """Standard deviation of two trainings or more; 0, not a rounded 0, where all are the same."""
    values = np.array(list(values))
    return float(np.std(values, ddof=1)) if np.ptp(values) > 0.0 else 0.0


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
        outcomes = tuple(_by_all(decision.system, one, known) for one in decision.outcomes)
        return replace(decision, outcomes=outcomes, verdict=worst(outcomes))

    return [decided(decision) for decision in decisions]


def _by_all(system: str, outcome: Outcome, known: Spreads) -> Outcome:
    """One outcome by all the trainings that are known."""
    found = [known.get((system, part.name)) for part in outcome.parts]
    if not found or None in found:
        return settled(outcome)
    spread = of_difference(outcome.parts, found) if outcome.spread is None else {}
    if outcome.criterion.over_trainings:
        sigmas = getattr(outcome.criterion, "sigmas", MARGIN)
        pairs = zip(outcome.parts, found, strict=True)
        means = {part.name: mean_over(part, one.values, sigmas) for part, one in pairs}
        if None not in means.values():
            together = evaluate(outcome.criterion, means.__getitem__)
            alone = number(outcome.measured, outcome.error)
            note = f"{together.note}; this training alone: {alone}, {outcome.verdict}"
            return replace(together, note=note, **spread)
        outcome = replace(outcome, note=outcome.note + _apart(outcome.parts, found))
    return settled(replace(outcome, **spread))


def _apart(parts: Sequence[Measurement], spreads: Sequence[Spread]) -> str:
    """As a clause which numbers of the training at hand are not those of the others; nothing if none is."""
    pairs = zip(parts, spreads, strict=True)
    return "".join(
        f"; {part.name} lies apart from that of {len(one.values)} other trainings"
        for part, one in pairs
        if lies_apart(part, one.values)
    )
