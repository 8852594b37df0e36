"""Energies of frustrated chains by the density-matrix renormalisation group, through TeNPy.

What no exact solver of this package reaches is on record in :mod:`published`; this is how it was
found, and how a new value is. TeNPy (Hauschild and Pollmann, SciPost Phys. Lect. Notes 5) is in the
optional group of the peers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from emergence.errors import HostError, SettingsError
from emergence.retraining.models import Heisenberg

SWEEPS = 30
"""At most so many; the energy has settled long before."""


@dataclass(frozen=True)
class Renormalised:
    """A ground state as a matrix product."""

    energy: float
    """Of the whole chain."""
    truncation: float
    """Largest weight that was cut away at a bond."""
    entropies: np.ndarray
    """Von Neumann entropy of the first ℓ sites, ``[sites − 1]``, natural logarithm."""


def ground_state(model: Heisenberg, states: int) -> Renormalised:
    """Variational ground state of an open J1–J2 chain with zero magnetisation.

    Args:
        states: kept at each bond; the energy falls towards the exact one as they grow.

    Raises:
        HostError: TeNPy is not installed.
        SettingsError: not an open Heisenberg chain.
    """
    lattice = model.lattice
    if not isinstance(model, Heisenberg) or lattice.geometry != "chain" or lattice.periodic:
        raise SettingsError(
            f"The {model} is no open Heisenberg chain.", "Choose one, with or without J2."
        )
    try:
        from tenpy.algorithms import dmrg
        from tenpy.models.spins_nnn import SpinChainNNN2
        from tenpy.networks.mps import MPS
    except ImportError as error:
        raise HostError(
            f"TeNPy cannot be imported ({error}).", "Run `make peers` to install it."
        ) from None
    couplings = {f"J{axis}": 1.0 for axis in "xyz"} | {f"J{axis}p": model.j2 for axis in "xyz"}
    chain = SpinChainNNN2(
        {"L": lattice.size, "S": 0.5, "bc_MPS": "finite", "conserve": "Sz"} | couplings
    )
    start = MPS.from_product_state(
        chain.lat.mps_sites(), ["up", "down"] * (lattice.size // 2), bc="finite"
    )
    options = {
        "mixer": True,
        "max_sweeps": SWEEPS,
        "max_E_err": 1e-13,
        "trunc_params": {"chi_max": states, "svd_min": 1e-12},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine = dmrg.TwoSiteDMRGEngine(start, chain, options)
        energy, state = engine.run()
    errors = engine.sweep_stats["max_trunc_err"]
    return Renormalised(float(energy), float(errors[-1]), np.asarray(state.entanglement_entropy()))
