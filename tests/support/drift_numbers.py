"""Numbers of the small ledger as the drift certificate reads them."""

from emergence.statistics import Measurement

WEIGHTS = {("introspection", "loss_ratio"): "ab12"}
"""What the small ledger's number is read from."""
RUNS = {
    "verify": "base",
    "drift-threads": "threads",
    "drift-compiled": "compiled",
    "drift-seed-1": "seeds",
    "drift-seed-2": "seeds",
}


def single(value, source=""):
    """The small ledger's number, of one training."""
    return Measurement("loss_ratio", value, 0.5, source=source)
