"""Energies of larger squares, from the literature: what no solver of this package reaches.

Exact diagonalisation where no error is given (all digits are then right), quantum Monte Carlo free
of any sign problem elsewhere, and for a frustrated chain the density-matrix renormalisation group
(:mod:`.renormalisation`, which also finds further ones). Units and signs as in ``models``.

Monte Carlo: A. W. Sandvik, arXiv:2601.20189, tables 1 (periodic, per site) and 2 (open, per bond);
infinite lattice: A. W. Sandvik, Phys. Rev. B 56, 11678 (1997).
"""

from __future__ import annotations

from emergence.retraining.models import Heisenberg, Ising, Lattice, Model

MONTE_CARLO = "quantum Monte Carlo (arXiv:2601.20189)"
DIAGONALISATION = "exact diagonalisation (literature)"

RENORMALISATION = "density-matrix renormalisation (TeNPy 1.0.6, 300 states)"

HEISENBERG_SQUARE_BULK = (-0.669437, 5e-6)
"""Energy per site of the infinite square and its error."""

DIAGONALISED = {
    Ising(Lattice("square", 6, "periodic"), 3.0): -115.2327073037,
    Heisenberg(Lattice("square", 6, "open")): -0.60352183 * 36,
    Heisenberg(Lattice("square", 6, "periodic")): -0.67887215 * 36,
}
"""Energy of the whole lattice."""

RENORMALISED = {
    Heisenberg(Lattice("chain", 32), 0.2): (-12.963527008503, 1e-11),
}
"""Energy of the whole lattice and its error: 100, 200 and 300 states agree in every digit."""

OPEN_HEISENBERG_SQUARE = {
    8: (0.3537355, 1e-7),
    10: (0.3492534, 1e-7),
    12: (0.3464731, 1e-7),
    14: (0.3445836, 1e-7),
    16: (0.3432169, 1e-7),
    18: (0.3421827, 2e-7),
    20: (0.3413732, 2e-7),
    22: (0.3407218, 2e-7),
    24: (0.3401870, 2e-7),
    26: (0.3397397, 2e-7),
    28: (0.3393603, 2e-7),
    32: (0.3387504, 2e-7),
    48: (0.3373629, 2e-7),
}
"""L → (−energy per bond, its error); there are 2L(L − 1) bonds."""

PERIODIC_HEISENBERG_SQUARE = {
    8: (-0.67349005, 2e-8),
    10: (-0.67155266, 2e-8),
    12: (-0.67068192, 2e-8),
    14: (-0.67023225, 2e-8),
    16: (-0.66997660, 2e-8),
    18: (-0.66982043, 2e-8),
    20: (-0.66971967, 2e-8),
    24: (-0.66960434, 2e-8),
    28: (-0.66954496, 3e-8),
    32: (-0.66951133, 3e-8),
    36: (-0.66949091, 3e-8),
    40: (-0.66947776, 3e-8),
}
"""L → (energy per site, its error)."""


def published_energy(model: Model) -> tuple[float, float, str] | None:
    """Energy of the whole lattice, its error and the method; None where none is on record."""
    if model in DIAGONALISED:
        return DIAGONALISED[model], 0.0, DIAGONALISATION
    if model in RENORMALISED:
        return *RENORMALISED[model], RENORMALISATION
    lattice = model.lattice
    if not isinstance(model, Heisenberg) or model.j2 or lattice.geometry != "square":
        return None
    if lattice.periodic and lattice.size in PERIODIC_HEISENBERG_SQUARE:
        energy, error = PERIODIC_HEISENBERG_SQUARE[lattice.size]
        return energy * model.sites, error * model.sites, MONTE_CARLO
    if not lattice.periodic and lattice.size in OPEN_HEISENBERG_SQUARE:
        energy, error = OPEN_HEISENBERG_SQUARE[lattice.size]
        bonds = 2 * lattice.size * (lattice.size - 1)
        return -energy * bonds, error * bonds, MONTE_CARLO
    return None
