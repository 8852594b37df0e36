"""Observables of complex fields: what is measured on each configuration, and what follows from it.

A primary quantity is a number per configuration whose mean is taken; a derived quantity is a
function of those means. Samplers in NumPy and in TensorFlow measure with the same functions, so
that they cannot differ in a convention. Lattice units; N = L².

    order      |φ̄|,  φ̄ = N⁻¹ Σ_x φ_x
    square     |φ̄|²
    fourth     |φ̄|⁴
    structure  |N⁻¹ Σ_x φ_x e^{ikx}|² averaged over the four smallest momenta, |k| = 2π/L
    helicity   N⁻¹ [t Σ_x Re φ_x*φ_{x+d} − t² (Σ_x Im φ_x*φ_{x+d})²] averaged over d, mean Υ/T
    bond       Re φ_i*φ_j averaged over the 2N bonds
    density    N⁻¹ Σ_x |φ_x|²
    quartic    N⁻¹ Σ_x |φ_x|⁴

A sampler with cluster estimators adds ``improved_square``, ``improved_structure`` and perhaps
``improved_fourth`` and ``improved_helicity``, which have the means of ``square`` and so on with less
noise and are then preferred. |φ̄| has no such estimator, but follows |φ̄|², whose deviation from its
improved mean is therefore taken out of it: a control variate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from emergence.holography.actions import ComplexPhi4, check_side

PRIMARY = (
    "order",
    "square",
    "fourth",
    "structure",
    "helicity",
    "bond",
    "density",
    "quartic",
)

Means = Mapping[str, Any]
"""Name of a primary quantity → its mean: a number, or an array of resampled means."""

Formula = Callable[[Means], Any]


def primary_parts(
    real: Any, imaginary: Any, t: Any, array_module: ModuleType = np
) -> dict[str, Any]:
    """The primary quantities of fields in either array library.

    Args:
        real: Re φ, ``[samples, L, L]``.
        imaginary: Im φ, the same shape.
        t: hopping, a number or a scalar.
        array_module: ``numpy`` or ``tensorflow.experimental.numpy``.

    Returns:
        The names in ``PRIMARY`` → ``[samples]``.
    """
    xp = array_module
    side = real.shape[-1]
    sites = side * side
    dtype = getattr(real.dtype, "as_numpy_dtype", real.dtype)
    angle = 2.0 * np.pi * np.arange(side) / side
    cosine, sine = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
    density = real * real + imaginary * imaginary
    structure, helicity, bond = 0.0, 0.0, 0.0
    for axis, other in ((1, 2), (2, 1)):
        ahead, ahead_imaginary = xp.roll(real, -1, axis=axis), xp.roll(imaginary, -1, axis=axis)
        along = xp.sum(real * ahead + imaginary * ahead_imaginary, axis=(1, 2))
        current = xp.sum(real * ahead_imaginary - imaginary * ahead, axis=(1, 2))
        helicity += 0.5 * (t * along - t * t * current * current) / sites
        bond += 0.5 * along / sites
        # φ̃(k) and φ̃(−k) share these four sums; the mean of their squares has no cross terms.
        line, line_imaginary = xp.sum(real, axis=other), xp.sum(imaginary, axis=other)
        for part in (line, line_imaginary):
            for phase in (cosine, sine):
                amplitude = xp.sum(part * phase, axis=1) / sites
                structure += 0.5 * amplitude * amplitude
    mean, mean_imaginary = xp.mean(real, axis=(1, 2)), xp.mean(imaginary, axis=(1, 2))
    square = mean * mean + mean_imaginary * mean_imaginary
    return {
        "order": xp.sqrt(square),
        "square": square,
        "fourth": square * square,
        "structure": structure,
        "helicity": helicity,
        "bond": bond,
        "density": xp.mean(density, axis=(1, 2)),
        "quartic": xp.mean(density * density, axis=(1, 2)),
    }


def primary(field: np.ndarray, t: float) -> dict[str, np.ndarray]:
    """The primary quantities of complex fields ``[samples, L, L]``: name → ``[samples]``."""
    if field.ndim != 3 or field.shape[1] != field.shape[2]:
        raise ValueError(f"A field is [samples, L, L]; this one is {list(field.shape)}.")
    check_side(field.shape[1])
    return primary_parts(np.ascontiguousarray(field.real), np.ascontiguousarray(field.imag), t)


def formulas(side: int, action: ComplexPhi4 | None = None) -> dict[str, Formula]:
    """Derived quantities as functions of the means of primary ones.

    ``order`` ⟨|φ̄|⟩, by a control variate where |φ̄|² is improved; ``susceptibility`` χ = N⟨|φ̄|²⟩;
    ``binder`` ⟨|φ̄|⁴⟩/⟨|φ̄|²⟩² (1 in an ordered phase, 2 for a Gaussian); ``helicity`` Υ/T;
    ``correlation_length`` the second-moment ξ = √(χ/F − 1)/(2 sin(π/L)) (NaN where noise makes the
    radicand negative) and its square; ``bond``, ``density``; with an ``action`` also ``action``, ⟨S⟩/N.
    """
    sites = side * side
    momentum = 2.0 * np.sin(np.pi / side)

    def best(means: Means, name: str) -> Any:
        return means.get(f"improved_{name}", means[name])

    def order(means: Means) -> Any:
        if "improved_square" not in means:
            return means["order"]
        # The best factor cov(|φ̄|, |φ̄|²)/var |φ̄|² is ½⟨|φ̄|⟩/⟨|φ̄|²⟩ both for a Gaussian φ̄ and where
        # |φ̄| hardly varies; elsewhere another factor would leave less noise, not another mean.
        excess = means["square"] / means["improved_square"] - 1.0
        return means["order"] * (1.0 - 0.5 * excess)

    def length_squared(means: Means) -> Any:
        return (best(means, "square") / best(means, "structure") - 1.0) / momentum**2

    def binder(means: Means) -> Any:
        # Both powers from the same estimator: their fluctuations cancel in the ratio.
        kind = "improved_" if "improved_fourth" in means else ""
        return means[f"{kind}fourth"] / means[f"{kind}square"] ** 2

    def length(means: Means) -> Any:
        squared = np.asarray(length_squared(means))
        return np.sqrt(np.where(squared >= 0.0, squared, np.nan))

    chosen: dict[str, Formula] = {
        "order": order,
        "susceptibility": lambda means: sites * best(means, "square"),
        "binder": binder,
        "helicity": lambda means: best(means, "helicity"),
        "correlation_length": length,
        "correlation_length_squared": length_squared,
        "bond": lambda means: means["bond"],
        "density": lambda means: means["density"],
    }
    if action is not None:
        chosen["action"] = lambda means: (
            action.mu * means["density"]
            + action.lam * means["quartic"]
            - 2.0 * action.t * means["bond"]
        )
    return chosen


def ising_parts(field: Any, array_module: ModuleType = np) -> dict[str, Any]:
    """Spin observables from the Ising dual field, real ``[samples, L, L]``: name → ``[samples]``.

    Given the field the spins are independent with ⟨s_i⟩ = tanh x_i, so the mean over them is exact:
    ``magnetisation_squared`` m² and ``energy``, of the whole torus in units of J.
    """
    xp = array_module
    spin = xp.tanh(field)
    sites = field.shape[1] * field.shape[2]
    total = xp.sum(spin, axis=(1, 2))
    variance = xp.sum(1.0 - spin * spin, axis=(1, 2))
    neighbours = xp.roll(spin, -1, axis=1) + xp.roll(spin, -1, axis=2)
    return {
        "magnetisation_squared": (total * total + variance) / sites**2,
        "energy": -xp.sum(spin * neighbours, axis=(1, 2)),
    }


def along_axes(field: np.ndarray) -> np.ndarray:
    """Re φ_x*φ_{x+r} of complex fields ``[samples, L, L]`` for r = 0 … L/2, ``[samples, L/2 + 1]``.

    Averaged over sites and both axes.
    """
    columns = []
    for distance in range(field.shape[1] // 2 + 1):
        moved = np.roll(field, -distance, axis=1) + np.roll(field, -distance, axis=2)
        columns.append(0.5 * np.mean((field.conj() * moved).real, axis=(1, 2)))
    return np.stack(columns, axis=1)


def ising_primary(field: np.ndarray) -> dict[str, np.ndarray]:
    """:func:`ising_parts` of a NumPy array; raises ValueError for a complex one."""
    if field.ndim != 3 or np.iscomplexobj(field):
        raise ValueError("The Ising dual field is real, [samples, L, L].")
    return ising_parts(field)
