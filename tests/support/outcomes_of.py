"""Criteria as a ledger has them, decided on numbers as a test has them."""

from pydantic import TypeAdapter

from emergence.statistics import Measurement
from emergence.verification.criteria import Criterion
from emergence.verification.outcomes import evaluate

CRITERION = TypeAdapter(Criterion)


def outcome(entry, **entries):
    """Decide one criterion on name=(value, error[, values])."""
    measurements = {name: Measurement(name, *values) for name, values in entries.items()}
    criterion = CRITERION.validate_python({"basis": "choice", "justification": "j", **entry})
    return evaluate(criterion, measurements.__getitem__)


def at_least(bound, **more):
    return {"test": "at_least", "measure": "m", "bound": bound, **more}


def ratio(bound, **more):
    return {"test": "ratio_at_least", "measure": "m", "bound": bound, **more}
