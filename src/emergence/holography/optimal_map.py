"""The optimal linear renormalisation of a Gaussian field: what training should reach, exactly.

A map that disentangles perfectly leaves no information in the bulk. For a Gaussian field

    multi-information of the latents = KL(field ‖ flow with the best independent prior),

and the same with the inverse spectrum is KL(flow ‖ field), the training's objective, if the map is
orthogonal. Both are minimised here over linear maps with the geometry of the flow.

The coarse field of every level is translation-invariant again, one variable per site, so only its
spectrum has to be kept; within a level the four sites of a block make 4×4 matrices over the momenta
of the blocks. The gradient is that of the same recursion, run backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, expm_frechet
from scipy.optimize import minimize

from emergence.errors import SettingsError
from emergence.holography.actions import check_side
from emergence.holography.information import HAAR
from emergence.holography.linear_map import LinearMap


def _polyphase_index(side: int) -> np.ndarray:
    """Flat displacement between site a of block j and site b of block 0, ``[4, 4, m, m]``."""
    m = side // 2
    a, b = np.divmod(np.arange(4), 2)
    rows = (2 * np.arange(m) + (a[:, None] - a)[..., None]) % side
    columns = (2 * np.arange(m) + (b[:, None] - b)[..., None]) % side
    return rows[..., :, None] * side + columns[..., None, :]


def _offset_blocks(m: int) -> np.ndarray:
    """Sites of blocks offset by one site in terms of those of the blocks, ``[m, m, 4, 4]``."""
    phase = np.exp(2j * np.pi * np.arange(m) / m)
    turn = np.zeros((m, m, 4, 4), dtype=complex)
    for a in range(4):
        (row, up), (column, right) = ((a // 2 + 1) % 2, a // 2), ((a % 2 + 1) % 2, a % 2)
        turn[:, :, a, 2 * row + column] = (phase**up)[:, None] * (phase**right)[None, :]
    return turn


class _Propagation:
    """Spectrum of a translation-invariant field through the levels of a linear map, and back."""

    def __init__(self, spectrum: np.ndarray) -> None:
        self.spectrum = spectrum
        self.sides = [2**k for k in range(len(spectrum).bit_length() - 1, 0, -1)]
        self.index = [_polyphase_index(side) for side in self.sides]
        self.turn = [_offset_blocks(side // 2) for side in self.sides]

    def cost(self, maps: np.ndarray) -> tuple[float, np.ndarray]:
        """½ Σ ln var(latent) − ln|det|, and its gradient; maps ``[2, levels, 4, 4]`` hold the
        decimators and the disentanglers."""
        spectrum, tape, total = self.spectrum, [], 0.0
        for level, side in enumerate(self.sides):
            m = side // 2
            correlation = np.fft.ifft2(spectrum).real.ravel()
            sites = np.fft.fft2(correlation[self.index[level]]).transpose(2, 3, 0, 1)
            turn = self.turn[level]
            offset = turn.conj().swapaxes(-1, -2) @ maps[1, level] @ turn
            whole = maps[0, level] @ offset
            turned = whole @ sites @ whole.conj().swapaxes(-1, -2)
            variance = np.diagonal(turned.mean(axis=(0, 1))).real
            total += m * m * 0.5 * float(np.log(variance[1:]).sum())
            total -= m * m * float(np.linalg.slogdet(maps[:, level])[1].sum())
            tape.append((sites, offset, whole, variance))
            spectrum = turned[..., 0, 0].real
        total += 0.5 * float(np.log(spectrum[0, 0]))
        return total, self._gradient(maps, tape, 0.5 / spectrum)

    def _gradient(self, maps: np.ndarray, tape: list, adjoint: np.ndarray) -> np.ndarray:
        gradient = np.zeros_like(maps)
        for level in reversed(range(len(self.sides))):
            sites, offset, whole, variance = tape[level]
            side, turn = self.sides[level], self.turn[level]
            weight = np.empty((*adjoint.shape, 4))
            weight[..., 0] = adjoint
            weight[..., 1:] = 0.5 / variance[1:]
            whole_adjoint = 2.0 * weight[..., :, None] * (whole @ sites)
            gradient[0, level] = np.sum(
                whole_adjoint @ offset.conj().swapaxes(-1, -2), axis=(0, 1)
            ).real
            inner = turn @ (maps[0, level].T @ whole_adjoint) @ turn.conj().swapaxes(-1, -2)
            gradient[1, level] = inner.sum(axis=(0, 1)).real
            gradient[:, level] -= (side // 2) ** 2 * np.linalg.inv(maps[:, level]).swapaxes(-1, -2)
            sites_adjoint = whole.conj().swapaxes(-1, -2) @ (weight[..., :, None] * whole)
            back = np.fft.ifft2(sites_adjoint.transpose(2, 3, 0, 1)).real * (side // 2) ** 2
            correlation = np.bincount(
                self.index[level].ravel(), weights=back.ravel(), minlength=side**2
            )
            adjoint = np.fft.ifft2(correlation.reshape(side, side)).real
        return gradient


@dataclass(frozen=True)
class OptimalMap:
    """The best linear map found."""

    map: LinearMap
    multi_information: float
    """Of its latents, nats per real component."""
    starts: tuple[float, ...]
    """What each start led to, the best first: their agreement tells whether it is the optimum."""


def linear_multi_information(spectrum: np.ndarray, map_: LinearMap) -> float:
    """Multi-information of the latents of a field of spectrum ⟨|φ_k|²⟩ ``[L, L]``, exact.

    It is KL(field ‖ flow) of a linear flow whose latents have their true variances; with 1/spectrum
    and an orthogonal map it is KL(flow ‖ field) at the best variances. Twice as much for a complex
    field.
    """
    maps = np.stack([map_.decimators, _disentanglers(map_)])
    value, _ = _Propagation(spectrum).cost(maps)
    return value - 0.5 * float(np.log(spectrum).sum())


def _disentanglers(map_: LinearMap) -> np.ndarray:
    identity = np.tile(np.eye(4), (len(map_.decimators), 1, 1))
    return identity if map_.disentanglers is None else map_.disentanglers


class _Blocks:
    """The maps of all levels as functions of free numbers, and the cost with its gradient.

    Invertible blocks are free themselves; orthogonal ones are exp(A)·base, with A antisymmetric and
    six free numbers a block.
    """

    def __init__(self, spectrum: np.ndarray, disentangle: bool, orthogonal: bool) -> None:
        self.propagation = _Propagation(spectrum)
        self.levels, self.kinds = len(spectrum).bit_length() - 1, 2 if disentangle else 1
        self.orthogonal = orthogonal
        self.shape = (self.kinds, self.levels, 4, 4)
        self.upper = np.triu_indices(4, 1)
        self.base = np.tile(np.eye(4), (2, self.levels, 1, 1))
        self.base[0] = HAAR

    def start(self, size: float, rng: np.random.Generator) -> np.ndarray:
        """Free numbers of Haar disturbed by rotations of a size: Haar itself is a saddle."""
        free = size * rng.standard_normal((self.kinds * self.levels, 6))
        if not self.orthogonal:
            free = self._rotated(free) @ self.base[: self.kinds]
        return free.ravel()

    def assemble(self, free: np.ndarray) -> np.ndarray:
        """Decimators and disentanglers of every level, ``[2, levels, 4, 4]``."""
        maps = np.tile(np.eye(4), (2, self.levels, 1, 1))
        maps[: self.kinds] = (
            free.reshape(self.shape)
            if not self.orthogonal
            else self._rotated(free) @ self.base[: self.kinds]
        )
        return maps

    def cost(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """What is to be minimised, and its gradient in the shape of ``free``."""
        value, gradient = self.propagation.cost(self.assemble(free))
        gradient = gradient[: self.kinds]
        if not self.orthogonal:
            return value, gradient.ravel()
        turned = (gradient @ self.base[: self.kinds].swapaxes(-1, -2)).reshape(-1, 4, 4)
        # The adjoint of the exponential's derivative at A is its derivative at Aᵀ.
        back = [
            expm_frechet(a.T, g, compute_expm=False)
            for a, g in zip(self._generators(free), turned, strict=True)
        ]
        back = np.array(back) - np.swapaxes(back, 1, 2)
        return value, back[:, self.upper[0], self.upper[1]].ravel()

    def _rotated(self, free: np.ndarray) -> np.ndarray:
        return np.array([expm(a) for a in self._generators(free)]).reshape(self.shape)

    def _generators(self, free: np.ndarray) -> np.ndarray:
        skew = np.zeros((self.kinds * self.levels, 4, 4))
        skew[:, self.upper[0], self.upper[1]] = free.reshape(-1, 6)
        return skew - skew.swapaxes(1, 2)


def optimal_linear_map(
    spectrum: np.ndarray,
    *,
    disentangle: bool = True,
    orthogonal: bool = True,
    starts: int = 3,
    iterations: int = 2000,
    rng: np.random.Generator,
) -> OptimalMap:
    """Minimise the multi-information of the latents of a Gaussian field over linear maps.

    Blocks are free on every level, shared over positions. The starts are Haar, ever more disturbed:
    from random blocks, whose coarse site is rough, the descent ends in far worse places. It is
    L-BFGS with the exact gradient.

    Args:
        spectrum: ⟨|φ_k|²⟩, ``[L, L]`` in the order of NumPy's FFT, positive and even in k.
        disentangle: with disentanglers, like the flow; else the tree of decimators alone.
        orthogonal: blocks of O(4); else any invertible ones.
        starts: each twice as far from Haar as the one before.

    Raises:
        SettingsError: if the side is no power of two, or the spectrum not positive.
    """
    side = len(spectrum)
    check_side(side, power_of_two=True)
    if not np.all(spectrum > 0.0):
        raise SettingsError("The spectrum of a field is positive.", "Choose a positive mass.")
    blocks = _Blocks(spectrum, disentangle, orthogonal)
    results = []
    for start in range(starts):
        result = minimize(
            blocks.cost,
            blocks.start(0.1 * 2**start, rng),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations, "maxfun": 4 * iterations, "ftol": 1e-12, "gtol": 1e-8},
        )
        results.append((float(result.fun), blocks.assemble(result.x)))
    results.sort(key=lambda pair: pair[0])
    entropy = 0.5 * float(np.log(spectrum).sum())
    best = results[0][1]
    return OptimalMap(
        map=LinearMap(best[0], best[1] if disentangle else None),
        multi_information=results[0][0] - entropy,
        starts=tuple(value - entropy for value, _ in results),
    )
