"""How a criterion is decided: each test compares a measurement with its bound in units of its error.

The margin of a test is the distance to its bound, positive where it passes. A test that passes by
more than two standard errors is *reproduced*, one that fails by more than two *deviates*, and one
in between is *compatible*; a comparison of models has its own ``sigmas`` in place of the two, both
ways. Where a share of the seeds must pass, the share among all seeds, of which those trained are a
sample, must differ from the one demanded by a single standard error, both ways. A test that is itself
stated in standard errors (equality, an exponent) is reproduced within two of them, compatible up to its
``sigmas`` and deviates beyond. Where the error is missing, too large, or taken from too few seeds,
nothing is decided: *underpowered*.

Errors tell of one training. Where its scatter over seeds was measured, that is the tolerance: what
another training may come out beyond is at best *compatible* (:func:`settled`); what one has not the power
to tell the mean over several may (:mod:`.seeds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from emergence.errors import LedgerError
from emergence.statistics import Measurement, scatter, wilson_interval
from emergence.verification.claims import Verdict
from emergence.verification.criteria import (
    AtLeast,
    AtMost,
    Criterion,
    EqualWithinErrors,
    ModelComparison,
    Ordering,
    RatioAtLeast,
    ScalingExponent,
    Within,
    keys_of,
)

MARGIN = 2.0
"""Standard errors by which a bound must be cleared, or missed."""
SHARE_MARGIN = 1.0
"""The same of a share of the seeds. Ten seeds can tell no more: of ten that all pass, two standard
errors leave 72 % possible, one leaves 91 %."""
MIN_SAMPLES = 3
"""Fewer seeds than this tell no spread; a criterion may ask for more."""
PREDICTION = 0.95
"""Probability with which another training falls into the interval that those before it predict.

The customary one, of each criterion by itself, and a wide one where few trainings were run: 18 standard
deviations of two, 6 of three, 4.5 of four. A standard deviation as such, or the interval of 68 %,
promises that verdicts stay which did not: of those recorded in ``figures/laptop/flips.csv`` it misses
some. (The spreads are of the same trainings, so that finding nearly all of them proves little.)
"""


@dataclass(frozen=True)
class Outcome:
    """What one criterion came to."""

    criterion: Criterion
    measured: float | None
    """None where the data could not tell it; of an ordering the difference, larger minus smaller."""
    error: float | None
    samples: int | None
    """Seeds of an ensemble, or trainings of a mean over them; None where the measurement is neither."""
    verdict: Verdict
    note: str
    """How it was decided, as a clause."""
    spread: float | None = None
    """How much single trainings scatter, where that was measured."""
    trainings: int = 0
    """Of how many trainings the spread is."""
    freedom: float | None = None
    """Degrees of freedom of the spread, where they are not one less than these."""
    extremes: tuple[float, float] | None = None
    """The least and the largest of them, where each is known."""
    room: float | None = None
    """How far the number is from where the statement itself holds or fails of it; None without an error."""

    held_error: float | None = None
    """Standard error of what is held against the bound or the target: of a difference, of both numbers."""
    parts: tuple[Measurement, ...] = ()
    """The measurements that it compares: what is tested first, then what with."""

    @property
    def errors_left(self) -> float:
        """How far the number is from there, in standard errors or, where that is less and it is held
        against another training, in halves of what that may be off; infinite where neither is known."""
        if self.room is None:
            return math.inf
        units = [self.error, (self.reach or 0.0) / MARGIN if self._asked_of_seeds else 0.0]
        largest = max((unit for unit in units if unit), default=0.0)
        return self.room / largest if largest else math.inf

    @property
    def reach(self) -> float | None:
        """How far from this number that of another training may come out; None where unknown.

        In :data:`PREDICTION` of cases, by Student's t of the degrees of freedom that the spread has: the
        difference of two trainings scatters by √2 of that. Of a ratio that lies above its bound it is
        how far below, by its logarithm, whose standard deviation is √ln(1 + (SD/number)²): it stays
        positive.
        """
        freedom = self.trainings - 1 if self.freedom is None else self.freedom
        if self.spread is None or freedom <= 0:
            return None
        times = deviations_off(freedom)
        criterion = self.criterion
        if not isinstance(criterion, RatioAtLeast) or self.measured <= criterion.bound:
            return times * self.spread
        relative = math.sqrt(math.log1p((self.spread / self.measured) ** 2))
        return -self.measured * math.expm1(-times * relative)

    @property
    def rests_on_seed(self) -> bool:
        """Whether another training may come out beyond the room; not where shares of them count."""
        if self.reach is None or self.room is None or self.verdict == "underpowered":
            return False
        return self._asked_of_seeds and self.reach > self.room

    @property
    def _asked_of_seeds(self) -> bool:
        """Whether the number is held against another training at all; not where all of them decide."""
        counted = getattr(self.criterion, "fraction", None) is not None
        return not counted and not self.by_mean and not self._error_covers_seeds

    @property
    def by_mean(self) -> bool:
        """Whether the mean over trainings decided it, in whose error their scatter is."""
        return self.criterion.over_trainings and self.samples is not None

    @property
    def counted(self) -> str:
        """What the samples are, in a word."""
        return "trainings" if self.by_mean else "seeds"

    @property
    def _error_covers_seeds(self) -> bool:
        """Whether trainings scatter about a target by no more than the number's own error.

        Equality is asked in these errors, so that nothing more has to be allowed for another training
        where it holds: that is drawn from what they describe. One that misses its target by many small
        errors says nothing of another, whose errors may be larger.
        """
        in_errors = isinstance(self.criterion, EqualWithinErrors | ScalingExponent)
        if not in_errors or None in (self.spread, self.held_error) or self.verdict == "deviates":
            return False
        return self.spread <= self.held_error


def deviations_off(freedom: float) -> float:
    """By how many standard deviations one training may be off another, in :data:`PREDICTION` of cases.

    By Student's t; the difference of two trainings scatters by √2 of one.
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1.0 + PREDICTION) / 2.0)) * math.sqrt(2.0)


def evaluate(criterion: Criterion, find: Callable[[str], Measurement]) -> Outcome:
    """Decide one criterion; ``find`` returns the measurement of a name.

    Raises:
        LedgerError: ``find`` knows no such name, or the seeds of an ordering cannot be paired.
    """
    parts = tuple(find(name) for name in keys_of(criterion))
    untold = next((part for part in parts if part.value is None), None)
    if untold:
        note = f"{untold.name} could not be told: {untold.note}"
        return Outcome(criterion, None, None, None, "underpowered", note, parts=parts)
    shown = tested = parts[0]
    if isinstance(criterion, Ordering):
        shown = tested = _difference(*parts, paired=criterion.fraction is not None)
    elif len(parts) > 1:
        tested = _difference(*parts, paired=False)
    weakness = _weakness(criterion, parts)
    verdict, note = ("underpowered", weakness) if weakness else _judge(criterion, tested)
    if len(parts) > 1:
        note += " (" + ", ".join(f"{part.name} {part.value:.4g}" for part in parts) + ")"
    values = tested.values or ()
    spread = scatter(values)
    known = spread is not None
    return Outcome(
        criterion,
        shown.value,
        shown.error,
        _samples(parts),
        verdict,
        note,
        spread,
        trainings=len(values) if known else 0,
        extremes=(min(values), max(values)) if known else None,
        room=_room(criterion, tested),
        held_error=tested.error,
        parts=parts,
    )


def settled(outcome: Outcome) -> Outcome:
    """The outcome with the tolerance that its spread over seeds asks for.

    What this training clears by its errors but another one may miss is compatible, not reproduced. A
    deviation stays one: of a claim that holds of some trainings only, the one at hand is counter-evidence.
    """
    if outcome.verdict != "reproduced" or not outcome.rests_on_seed:
        return outcome
    note = f"{outcome.note}, but another training may miss it"
    return replace(outcome, verdict="compatible", note=note)


def _room(criterion: Criterion, tested: Measurement) -> float | None:
    """How far the number is from where the statement itself holds or fails of it, errors apart: from
    the bound; of what is stated in errors, from as many errors off the target as are allowed."""
    if isinstance(criterion, EqualWithinErrors | ScalingExponent):
        if tested.error is None:
            return None
        return abs(criterion.sigmas * tested.error - _distance(criterion, tested))
    return abs(_margin(criterion, tested.value))


def _distance(criterion: EqualWithinErrors | ScalingExponent, tested: Measurement) -> float:
    """From the target; ``tested`` is the difference already where the target was measured."""
    return abs(tested.value - (criterion.target or 0.0))


def _difference(first: Measurement, second: Measurement, *, paired: bool) -> Measurement:
    """Return first minus second, with independent errors; ``paired`` subtracts seed by seed."""
    known = first.error is not None and second.error is not None
    values = None
    if paired and first.values is not None and second.values is not None:
        if len(first.values) != len(second.values):
            raise LedgerError(
                f"'{first.name}' has {len(first.values)} seeds and '{second.name}' "
                f"{len(second.values)}, so that they cannot be ordered seed by seed.",
                "Leave 'fraction' out to compare their medians, or measure both on the same seeds.",
            )
        values = tuple(a - b for a, b in zip(first.values, second.values, strict=True))
    return Measurement(
        name=f"{first.name} - {second.name}",
        value=first.value - second.value,
        error=math.hypot(first.error, second.error) if known else None,
        values=values,
    )


def _samples(parts: Iterable[Measurement]) -> int | None:
    """Return the seeds of the smallest ensemble; None where there is none."""
    return min((len(part.values) for part in parts if part.values is not None), default=None)


def _weakness(criterion: Criterion, parts: tuple[Measurement, ...]) -> str:
    """Return why these measurements cannot decide the criterion; nothing where they can."""
    fraction = getattr(criterion, "fraction", None)
    samples = _samples(parts)
    if fraction is not None or criterion.min_samples is not None:
        single = next((part.name for part in parts if part.values is None), None)
        if single is not None:
            return f"{single} has no values per seed"
    required = criterion.min_samples or MIN_SAMPLES
    if samples is not None and samples < required:
        return f"it has {samples} of at least {required} seeds"
    for part in parts:
        if part.error is None and (fraction is None or criterion.max_error is not None):
            why = f": {part.note}" if part.note else ""
            return f"the standard error of {part.name} is not known{why}"
        if criterion.max_error is not None:
            target = getattr(criterion, "target", None)
            scale = abs(part.value if target is None else target) if criterion.relative else 1.0
            if part.error > criterion.max_error * scale:
                return f"the standard error of {part.name} is {part.error:.2g}, which is too large"
    return ""


def _judge(criterion: Criterion, tested: Measurement) -> tuple[Verdict, str]:
    """Return the verdict of a measurement that has the power to decide, and how it came about."""
    if getattr(criterion, "fraction", None) is not None:
        return _judge_fraction(criterion, criterion.fraction, tested)
    error = tested.error
    if isinstance(criterion, EqualWithinErrors | ScalingExponent):
        distance = _distance(criterion, tested)
        note = f"{_in_errors(distance, error)} from its target"
        if distance <= MARGIN * error:
            return "reproduced", note
        return ("compatible" if distance <= criterion.sigmas * error else "deviates"), note
    margin = _margin(criterion, tested.value)
    note = f"{'clears' if margin >= 0 else 'misses'} its bound by {_in_errors(abs(margin), error)}"
    required = criterion.sigmas if isinstance(criterion, ModelComparison) else MARGIN
    if error > 0 and abs(margin) <= required * error:
        return "compatible", note
    return ("reproduced" if _passes(criterion, margin) else "deviates"), note


def _judge_fraction(
    criterion: Criterion, fraction: float, tested: Measurement
) -> tuple[Verdict, str]:
    """Count the seeds that pass on their own values; a share near the demanded one may be chance."""
    count = len(tested.values)
    passed = sum(_passes(criterion, _margin(criterion, value)) for value in tested.values)
    note = f"{passed} of {count} seeds pass"
    lowest, highest = wilson_interval(passed, count, math.erf(SHARE_MARGIN / math.sqrt(2.0)))
    if lowest >= fraction:
        return "reproduced", note
    return ("compatible" if highest >= fraction else "deviates"), note


def _margin(criterion: Criterion, value: float) -> float:
    """Return the distance of a value to its bound, positive on the side that passes."""
    match criterion:
        case AtMost():
            return criterion.bound - value
        case AtLeast() | RatioAtLeast() | ModelComparison():
            return value - criterion.bound
        case Within():
            scale = abs(criterion.target) if criterion.relative else 1.0
            return criterion.tolerance * scale - abs(value - criterion.target)
        case Ordering():
            return value
    raise TypeError(f"The test '{criterion.test}' has no margin.")


def _passes(criterion: Criterion, margin: float) -> bool:
    """Return whether a margin passes; what must be smaller or exceed must not be equal."""
    return margin > 0 or (margin == 0 and not isinstance(criterion, Ordering | ModelComparison))


def _in_errors(distance: float, error: float) -> str:
    if error == 0:
        return f"{distance:.2g}"
    times = distance / error
    return "more than 1000 standard errors" if times > 1000 else f"{times:.1f} standard errors"
