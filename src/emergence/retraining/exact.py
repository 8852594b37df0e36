"""The reference of every energy: the best method that solves a model, and what it gives.

Ising chain: free fermions, any size. Heisenberg chain: Bethe ansatz, any even size. J1–J2 chain
at j2 = ½: the Majumdar–Ghosh product of singlets. Any small lattice: exact diagonalisation. Some
larger squares: published values.
"""

from __future__ import annotations

from dataclasses import dataclass

from emergence.errors import SettingsError
from emergence.retraining import bethe, diagonalisation, free_fermions, published
from emergence.retraining.models import Heisenberg, Ising, Model


@dataclass(frozen=True)
class Reference:
    """A reference energy, of a whole lattice or per site as the function that made it says."""

    energy: float
    error: float
    """Standard error; 0 for an exact value."""
    method: str


def _majumdar_ghosh(model: Model) -> bool:
    chain = model.lattice.geometry == "chain"
    return isinstance(model, Heisenberg) and chain and model.j2 == 0.5


def reference_energy(model: Model) -> Reference:
    """Ground-state energy of the whole lattice.

    Raises:
        SettingsError: no method here reaches the model, and no value is on record.
    """
    chain = model.lattice.geometry == "chain"
    if chain and isinstance(model, Ising):
        return Reference(free_fermions.energy(model), 0.0, "free fermions")
    if chain and not model.j2:
        return Reference(bethe.energy(model), 0.0, "Bethe ansatz")
    if _majumdar_ghosh(model):
        return Reference(-3.0 * model.sites / 8.0, 0.0, "Majumdar–Ghosh state")
    on_record = published.published_energy(model)
    if on_record is not None:
        return Reference(*on_record)
    if diagonalisation.feasible(model):
        energy = diagonalisation.ground_state(model).energy
        return Reference(energy, 0.0, "exact diagonalisation")
    raise SettingsError(
        f"No reference energy is known for the {model}.",
        "Choose a smaller lattice, or compute one by DMRG.",
    )


def bulk_energy(model: Model) -> Reference:
    """Ground-state energy per site of the infinite lattice.

    Raises:
        SettingsError: no such value is on record.
    """
    chain = model.lattice.geometry == "chain"
    if chain and isinstance(model, Ising):
        return Reference(free_fermions.bulk_energy(model.field), 0.0, "free fermions")
    if chain and not model.j2:
        return Reference(bethe.BULK_ENERGY, 0.0, "Bethe ansatz")
    if _majumdar_ghosh(model):
        return Reference(-3.0 / 8.0, 0.0, "Majumdar–Ghosh state")
    if isinstance(model, Heisenberg) and not model.j2:
        return Reference(*published.HEISENBERG_SQUARE_BULK, "quantum Monte Carlo (1997)")
    raise SettingsError(
        f"No bulk energy is known for the {model}.",
        "Extrapolate the energies of finite lattices instead.",
    )
