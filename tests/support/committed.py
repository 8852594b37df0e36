"""The ledgers and the shipped numbers of this checkout, as tests of what is committed read them."""

from pathlib import Path

from emergence.statistics import read_measurements
from emergence.verification.claims import load_ledgers

ROOT = Path(__file__).parents[2]


def claims():
    """Every claim of every ledger."""
    return [claim for ledger in load_ledgers(ROOT / "claims") for claim in ledger.claims]


def measurements():
    """System → its shipped measurements, by name."""
    systems = [ledger.system for ledger in load_ledgers(ROOT / "claims")]
    folder = ROOT / "weights/laptop"
    return {name: read_measurements(folder / name / "measurements.json") for name in systems}
