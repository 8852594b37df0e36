"""Mutual information of Gaussian fields by determinants, and its budget under one blocking step.

A blocking step turns each 2×2 block of the field φ into one coarse site φ' and three details ζ.
For any invertible map of a region A and everything else B the chain rule is exact,

    I(φ_A:φ_B) = I(φ'_A:φ_B) + I(ζ_A:φ_B | φ'_A).

The slides of arXiv:1903.00804 split it as I(φ'_A:φ_B) + I(ζ_A:ζ_B) instead, which drops what the
details of A share with the coarse sites of B; the defect of that form is measured here. In nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.actions import check_side, lattice_cosines

HAAR = 0.5 * np.array(
    [
        [1.0, 1.0, 1.0, 1.0],
        [1.0, -1.0, 1.0, -1.0],
        [1.0, 1.0, -1.0, -1.0],
        [1.0, -1.0, -1.0, 1.0],
    ]
)
"""Rows act on a block's sites (upper left, upper right, lower left, lower right): the first makes
the coarse site, the others the details. Orthogonal."""


def free_field_covariance(side: int, mass_squared: float) -> np.ndarray:
    """⟨φ_x φ_y⟩ of the real free field S = ½ Σ_k (m² + 4 − 2cos k_x − 2cos k_y)|φ_k|².

    Returns:
        ``[N, N]``, sites in row-major order.

    Raises:
        SettingsError: if m² is not positive (the zero mode is then unbound), or the side is < 2.
    """
    if not 0.0 < mass_squared < np.inf:
        raise SettingsError(
            f"The free field of mass squared {mass_squared} has an unbound zero mode.",
            "Choose a positive mass squared.",
        )
    check_side(side)
    row = np.fft.ifft2(1.0 / (mass_squared + 4.0 - 2.0 * lattice_cosines(side))).real
    x, y = np.divmod(np.arange(side * side), side)
    return row[(x[:, None] - x) % side, (y[:, None] - y) % side]


def _log_determinant(covariance: np.ndarray, sites: np.ndarray) -> float:
    if sites.size == 0:
        return 0.0
    try:
        factor = np.linalg.cholesky(covariance[np.ix_(sites, sites)])
    except np.linalg.LinAlgError as error:
        raise SettingsError(
            f"The covariance of {sites.size} variables is not positive definite.",
            "Estimate it from more samples than variables.",
        ) from error
    return 2.0 * float(np.sum(np.log(np.diagonal(factor))))


def mutual_information(covariance: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """I(A:B) = ½ ln(det Σ_A det Σ_B / det Σ_AB) of real Gaussian variables, in nats.

    A complex circular field gives twice the value of its real or imaginary part.

    Args:
        covariance: Σ, ``[n, n]``, real symmetric.
        a: indices of A, ``[n_a]``.
        b: indices of B, ``[n_b]``, none of them in A (ValueError).

    Raises:
        SettingsError: if the covariance of A and B together is not positive definite.
    """
    return conditional_mutual_information(covariance, a, b, np.array([], dtype=np.intp))


def conditional_mutual_information(
    covariance: np.ndarray, a: np.ndarray, b: np.ndarray, given: np.ndarray
) -> float:
    """I(A:B|C) = ½ ln(det Σ_AC det Σ_BC / (det Σ_ABC det Σ_C)), in nats.

    Args:
        covariance: Σ, ``[n, n]``, real symmetric.
        a, b, given: indices of A, B, C, one-dimensional and without common members (ValueError).

    Raises:
        SettingsError: if the covariance of A, B and C together is not positive definite.
    """
    a, b, given = (np.asarray(part, dtype=np.intp).ravel() for part in (a, b, given))
    everything = np.concatenate([a, b, given])
    if np.unique(everything).size != everything.size:
        raise ValueError("Regions whose mutual information is asked for may not overlap.")
    return 0.5 * (
        _log_determinant(covariance, np.concatenate([a, given]))
        + _log_determinant(covariance, np.concatenate([b, given]))
        - _log_determinant(covariance, everything)
        - _log_determinant(covariance, given)
    )


def block_sites(side: int) -> np.ndarray:
    """Row-major site indices of the 2×2 blocks, ``[N/4, 4]``, blocks in row-major order.

    Raises:
        SettingsError: if the side is no power of two.
    """
    check_side(side, power_of_two=True)
    sites = np.arange(side * side).reshape(side // 2, 2, side // 2, 2)
    return sites.transpose(0, 2, 1, 3).reshape(-1, 4)


def block_transform(covariance: np.ndarray, transformation: np.ndarray = HAAR) -> np.ndarray:
    """Covariance of (φ', ζ) after one linear blocking step, the same in every block.

    Args:
        covariance: of the field, ``[N, N]`` with sites in row-major order.
        transformation: ``[4, 4]``, invertible; its first row makes the coarse site.

    Returns:
        ``[N, N]``; variable 4b is the coarse site of block b, 4b+1 … 4b+3 are its details.

    Raises:
        SettingsError: if the side is no power of two, or the transformation is singular.
    """
    side = round(float(np.sqrt(covariance.shape[0])))
    if covariance.shape != (side * side, side * side):
        raise ValueError(f"A covariance is [N, N], N = L²; this one is {list(covariance.shape)}.")
    if transformation.shape != (4, 4):
        raise ValueError(f"A block's map is [4, 4]; this one is {list(transformation.shape)}.")
    if np.linalg.matrix_rank(transformation) < 4:
        raise SettingsError("The blocking step is singular.", "Give four independent rows.")
    order = block_sites(side).ravel()
    blocks = covariance[np.ix_(order, order)].reshape(-1, 4, side * side // 4, 4)
    turned = np.einsum("pi,aibj,qj->apbq", transformation, blocks, transformation, optimize=True)
    return turned.reshape(side * side, side * side)


@dataclass(frozen=True)
class InformationBudget:
    """Where the mutual information between a region A and the rest B goes in a blocking step."""

    total: float
    """I(φ_A:φ_B)."""
    coarse: float
    """I(φ'_A:φ_B), what the coarse sites of A keep: real-space mutual information."""
    conditional: float
    """I(ζ_A:φ_B | φ'_A), what only the details know: the exact other half."""
    bulk: float
    """I(ζ_A:ζ_B), bulk mutual information among details: the slides' other half."""

    @property
    def chain_defect(self) -> float:
        """total − coarse − conditional: zero for every invertible blocking step."""
        return self.total - self.coarse - self.conditional

    @property
    def slides_defect(self) -> float:
        """total − coarse − bulk: what the slides' identity misses."""
        return self.total - self.coarse - self.bulk


def information_budget(
    field: np.ndarray, blocked: np.ndarray, blocks: tuple[int, ...] = (0,)
) -> InformationBudget:
    """Budget of one blocking step for a Gaussian field.

    Args:
        field: covariance of φ, ``[N, N]``, row-major sites.
        blocked: covariance of (φ', ζ) in the order of :func:`block_transform`, ``[N, N]``.
        blocks: the 2×2 blocks of region A, indices in row-major order.

    Raises:
        SettingsError: if the blocks are none or all of the lattice, or a covariance is not
            positive definite.
    """
    sites = block_sites(round(float(np.sqrt(field.shape[0]))))
    inside = np.zeros(len(sites), dtype=bool)
    inside[list(blocks)] = True
    if inside.all() or not inside.any():
        raise SettingsError(
            f"A region of {int(inside.sum())} of {len(sites)} blocks has no inside and outside.",
            "Choose at least one block and not all of them.",
        )
    variables = np.arange(blocked.shape[0]).reshape(-1, 4)
    coarse, details, outside = variables[inside, 0], variables[inside, 1:], variables[~inside]
    return InformationBudget(
        total=mutual_information(field, sites[inside], sites[~inside]),
        coarse=mutual_information(blocked, coarse, outside),
        conditional=conditional_mutual_information(blocked, details, outside, coarse),
        bulk=mutual_information(blocked, details, outside[:, 1:]),
    )
