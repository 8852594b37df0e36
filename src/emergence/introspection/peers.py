"""Other people's way to the law from the same densities, for ``make bench``: PySINDy.

Sparse regression of derivatives (Brunton, Proctor, Kutz, PNAS 113, 3932 (2016); PySINDy 2). It
knows no hidden variables, so it can find only what the density itself obeys. For ψ'' = Vψ with a
smooth V, ρ = ψ² obeys ρ''' = 4Vρ' + 2V'ρ: the three-variable form, with ψ eliminated. It is given
all it could wish for: the right variables (ρ, ρ′, ρ″), V and V′ as inputs, the spacing, no noise.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from emergence.errors import HostError

ORDER = 6
"""Of its finite differences: of 2, 4, 6 and 8 the one that comes nearest on these densities."""

THRESHOLD = 0.5
"""Coefficients below are dropped; those of the law are 4 and 2."""

VARIABLES = ("r", "r1", "r2", "V", "V1")
LAW = {"r1 V": 4.0, "r V1": 2.0}
"""The right-hand side of ρ''' in the names of the candidate terms."""


@dataclass(frozen=True)
class SparseLaw:
    """What PySINDy wrote down for ρ'''."""

    terms: dict[str, float]
    """Candidate term → coefficient, those that it kept."""

    seconds: float
    """Derivatives and regression together."""

    @property
    def form_right(self) -> bool:
        """Whether it kept exactly the terms of the law."""
        return set(self.terms) == set(LAW)

    @property
    def spacing_error(self) -> float:
        """Relative error of a²: per site the coefficient of Vρ' is 4a²; 1 where it is missing."""
        return abs(self.terms.get("r1 V", 0.0) / LAW["r1 V"] - 1.0)

    def __str__(self) -> str:
        names = {"r": "ρ", "r1": "ρ'", "r2": "ρ''", "V1": "V'"}
        text = "ρ''' ="
        # The largest first; no sign before the first unless it is a minus.
        for term, value in sorted(self.terms.items(), key=lambda item: -abs(item[1])):
            sign = " −" if value < 0.0 else "" if text.endswith("=") else " +"
            factors = [factor.partition("^") for factor in reversed(term.split())]
            product = "".join(names.get(base, base) + mark + power for base, mark, power in factors)
            text += f"{sign} {abs(value):.4g} {product}"
        return text if self.terms else f"{text} 0"


def at_cell_ends(potential: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """V and V′ where the densities are measured, between a cell and the next.

    Args:
        potential: V of each cell, ``[windows, sites]``.

    Returns:
        Both ``[windows, sites − 1]``, for all ends but the last one's.
    """
    left, right = potential[:, :-1], potential[:, 1:]
    return 0.5 * (left + right), (right - left) / spacing


def import_pysindy() -> ModuleType:
    """PySINDy, which only the lock of the peers holds.

    Raises:
        HostError: it is not installed, or does not go with the installed NumPy and SciPy.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pysindy
    except ImportError as error:
        raise HostError(
            f"PySINDy cannot be imported ({error}).", "Run `make peers` to install it."
        ) from None
    return pysindy


def sparse_regression(
    potential: np.ndarray, density: np.ndarray, spacing: float, order: int = ORDER
) -> SparseLaw:
    """Let PySINDy find ρ''' among all products of at most two of (ρ, ρ′, ρ″, V, V′).

    Args:
        potential: V, ``[windows, sites]``, 1/length².
        density: after each cell, ``[windows, sites]``.
        order: of the finite differences; windows lose ``2 · order`` sites at either end.

    Raises:
        HostError: PySINDy cannot be imported.
    """
    pysindy = import_pysindy()
    began = time.perf_counter()
    value, slope = at_cell_ends(potential, spacing)
    difference = pysindy.FiniteDifference(order=order)
    derivatives = [density[:, :-1].T]
    for _ in range(3):
        derivatives.append(difference(derivatives[-1], spacing))
    # One-sided differences at the ends are an order less exact, three times over.
    inside = slice(2 * order, -2 * order)
    stacked = np.stack(derivatives, axis=-1)[inside].swapaxes(0, 1)
    inputs = np.stack([value, slope], axis=-1)[:, inside]
    model = pysindy.SINDy(
        optimizer=pysindy.STLSQ(threshold=THRESHOLD, alpha=1e-9),
        feature_library=pysindy.PolynomialLibrary(degree=2, include_bias=False),
    )
    model.fit(
        list(stacked[..., :3]),
        t=spacing,
        x_dot=list(stacked[..., 1:]),
        u=list(inputs),
        feature_names=list(VARIABLES),
    )
    found = zip(model.get_feature_names(), model.coefficients()[2], strict=True)
    terms = {name: float(coefficient) for name, coefficient in found if coefficient}
    return SparseLaw(terms, time.perf_counter() - began)
