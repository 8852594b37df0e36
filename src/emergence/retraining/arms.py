"""What an arm of the settings stands for: its Hamiltonian and its wave function, at any size."""

from __future__ import annotations

from dataclasses import replace

from emergence.retraining.cells import Cell, GatedUnit, TensorUnit
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.models import model_of
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.paper_square import PaperSquare
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.wavefunction import RecurrentState, WaveFunction
from emergence.settings import GrowthArm


def state_of(arm: GrowthArm, size: int) -> WaveFunction:
    """The wave function of an arm at one size; its parameters do not depend on the size."""
    model = model_of(arm, size)
    if arm.network == "original_square":
        return PaperSquare(model, units=arm.units)
    cells: dict[str, type[Cell]] = {
        "gated": GatedUnit,
        "tensor": TensorUnit,
        "original_chain": PaperCell,
    }
    masked = arm.masked and model.conserves_magnetisation
    return RecurrentState(Recurrent(cells[arm.network](arm.units), Moves(model), masked))


def hamiltonian_of(arm: GrowthArm, size: int) -> Hamiltonian:
    """Matrix elements at one size, Marshall-rotated where the arm says so."""
    model = model_of(arm, size)
    return Hamiltonian(model, arm.marshall and model.conserves_magnetisation)


def symmetrised(state: WaveFunction) -> WaveFunction:
    """The same network averaged over the lattice's point group."""
    if isinstance(state, RecurrentState):
        return replace(state, symmetric=True)
    return replace(state, directions=tuple(map(tuple, state.model.lattice.point_group.tolist())))
