"""Actions S[φ] on the periodic L×L square lattice; a field has the density exp(−S)/Z.

Lattice units. A bond joins each site with its right and its lower neighbour, so that every bond is
counted once; on a 2-site-wide torus the two neighbours coincide and **each bond counts twice**.
Measures: d²φ = d(Re φ) d(Im φ) per site for complex fields, dx per site for real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from emergence.errors import SettingsError

UNIT_TOLERANCE = 1e-6
"""By how much the length of a unit field may be off: rounding of single precision."""


def check_side(side: int, *, power_of_two: bool = False) -> None:
    """Refuse a lattice that has no two sites along a side, or that 2×2 blocks cannot halve.

    Raises:
        SettingsError: if ``side`` < 2, or is no power of two although it must be.
    """
    if side < 2:
        raise SettingsError(
            f"A lattice of side {side} has no neighbours.", "Choose a side of at least 2."
        )
    if power_of_two and side & (side - 1):
        raise SettingsError(
            f"The lattice side {side} is not a power of two, so 2×2 blocks cannot halve it to 1.",
            "Choose a side of 2, 4, 8, 16, 32, …",
        )


def lattice_cosines(side: int) -> np.ndarray:
    """cos k_x + cos k_y at the momenta k = 2πn/L, ``[L, L]`` in the order of NumPy's FFT."""
    check_side(side)
    cosine = np.cos(2.0 * np.pi * np.arange(side) / side)
    return cosine[:, None] + cosine[None, :]


def _check_shape(field: np.ndarray) -> None:
    if field.ndim != 3 or field.shape[1] != field.shape[2]:
        raise ValueError(f"A field is [batch, L, L]; this one is {list(field.shape)}.")
    check_side(field.shape[1])


def _check_finite(**couplings: float) -> None:
    for name, coupling in couplings.items():
        if not isfinite(coupling):
            raise SettingsError(f"The coupling {name} is {coupling}.", "Give it a finite number.")


def bond_sum(field: np.ndarray) -> np.ndarray:
    """Σ_⟨ij⟩ Re φ_i*φ_j over all bonds, ``[batch]``."""
    right, down = np.roll(field, -1, axis=2), np.roll(field, -1, axis=1)
    return np.sum((field.conj() * (right + down)).real, axis=(1, 2))


@dataclass(frozen=True)
class ComplexPhi4:
    """S = −t Σ_⟨ij⟩ Re φ_i*φ_j + Σ_i (μ|φ_i|² + λ|φ_i|⁴), slides of arXiv:1903.00804.

    Raises:
        SettingsError: if the integral of exp(−S) diverges: λ < 0, or λ = 0 with μ ≤ 2|t|.
    """

    t: float
    """Hopping; positive is ferromagnetic."""
    mu: float
    """Chemical potential μ (with this sign a mass: negative μ makes the ring)."""
    lam: float
    """Quartic coupling λ."""

    def __post_init__(self) -> None:
        _check_finite(t=self.t, mu=self.mu, lam=self.lam)
        if self.lam < 0.0 or (self.lam == 0.0 and self.mu <= 2.0 * abs(self.t)):
            raise SettingsError(
                f"The action with t = {self.t}, mu = {self.mu} and lambda = {self.lam} has no"
                " lowest value, so exp(−S) has no integral.",
                "Choose lambda > 0, or lambda = 0 with mu > 2|t|.",
            )

    @classmethod
    def recalled(cls, t: float) -> ComplexPhi4:
        """The paper's couplings λ = 25, μ = −200 + 2t: mean-field |φ|² = 4 at every t.

        They are recalled, not confirmed by a text; the single-site mean field of these couplings
        puts the Kosterlitz–Thouless point near t = 0.280.
        """
        return cls(t=t, mu=-200.0 + 2.0 * t, lam=25.0)

    @property
    def mean_field_density(self) -> float:
        """|φ|² of the field of lowest action, (2|t| − μ)/2λ or 0; it is 0 for the free field."""
        if self.lam == 0.0:
            return 0.0
        return max(0.0, (2.0 * abs(self.t) - self.mu) / (2.0 * self.lam))

    @property
    def xy_temperature(self) -> float:
        """T of the limit λ → ∞ at this mean-field density ρ, which is :class:`XY` at 1/(tρ)."""
        stiffness = self.t * self.mean_field_density
        return 1.0 / stiffness if stiffness else float("inf")

    def value(self, field: np.ndarray) -> np.ndarray:
        """S of complex fields ``[batch, L, L]``, ``[batch]`` float64."""
        _check_shape(field)
        density = field.real**2 + field.imag**2
        onsite = np.sum(density * (self.mu + self.lam * density), axis=(1, 2))
        return onsite - self.t * bond_sum(field)


@dataclass(frozen=True)
class XY:
    """S = −(1/T) Σ_⟨ij⟩ cos(θ_i − θ_j) of unit fields φ = e^{iθ}; its measure is dθ per site.

    Complex φ⁴ with t > 0 tends to it, φ in units of √ρ, as λ → ∞ at a fixed mean-field density ρ. The
    Kosterlitz–Thouless transition lies at T = 0.8929 (M. Hasenbusch, cond-mat/0502556).

    Raises:
        SettingsError: if the temperature is not positive.
    """

    temperature: float
    """T in units of the exchange coupling."""

    def __post_init__(self) -> None:
        if not 0.0 < self.temperature < float("inf"):
            raise SettingsError(
                f"The temperature of the XY model is {self.temperature}.",
                "Choose a positive number.",
            )

    @property
    def t(self) -> float:
        """1/T, the hopping of unit fields."""
        return 1.0 / self.temperature

    def value(self, field: np.ndarray) -> np.ndarray:
        """S of unit complex fields ``[batch, L, L]``, ``[batch]`` float64.

        Raises:
            ValueError: the fields are no unit ones.
        """
        _check_shape(field)
        stretch = float(np.max(np.abs(np.abs(field) - 1.0)))
        if not stretch < UNIT_TOLERANCE:
            raise ValueError(f"Fields of the XY model have length 1; one is off by {stretch:.1g}.")
        return -self.t * bond_sum(field)


@dataclass(frozen=True)
class FreeField:
    """S = −t Σ_⟨ij⟩ Re φ_i*φ_j + μ Σ_i |φ_i|² = Σ_k e_k |φ_k|² for a complex field.

    Raises:
        SettingsError: if a mode is unstable, μ ≤ 2|t|.
    """

    t: float
    """Hopping."""
    mu: float
    """Mass term; the correlation length grows without bound as μ → 2|t|."""

    def __post_init__(self) -> None:
        _check_finite(t=self.t, mu=self.mu)
        if self.mu <= 2.0 * abs(self.t):
            raise SettingsError(
                f"The free field with t = {self.t} and mu = {self.mu} has an unstable mode.",
                "Choose mu > 2|t|.",
            )

    def eigenvalues(self, side: int) -> np.ndarray:
        """e_k = μ − t(cos k_x + cos k_y), ``[L, L]`` in the order of NumPy's FFT."""
        return self.mu - self.t * lattice_cosines(side)

    def value(self, field: np.ndarray) -> np.ndarray:
        """S of complex fields ``[batch, L, L]``, ``[batch]`` float64."""
        _check_shape(field)
        density = field.real**2 + field.imag**2
        return self.mu * np.sum(density, axis=(1, 2)) - self.t * bond_sum(field)


@dataclass(frozen=True)
class IsingDualField:
    """The Ising model as a continuous field: S = ½ xᵀK⁻¹x − Σ_i ln cosh x_i, arXiv:1802.02840.

    K = Adj/T + offset·1 with offset = margin − (lowest eigenvalue of Adj/T), so that K > 0. Given
    the spins x ~ N(Ks, K); given the field the spins are independent with ⟨s_i⟩ = tanh x_i.

    Raises:
        SettingsError: if the temperature or the margin is not positive.
    """

    temperature: float
    """T in units of the exchange coupling J."""
    margin: float = 0.1
    """Lowest eigenvalue of K (0.1 in the authors' code)."""

    def __post_init__(self) -> None:
        for name, number in (("temperature", self.temperature), ("margin", self.margin)):
            if not 0.0 < number < float("inf"):
                raise SettingsError(
                    f"The {name} of the Ising field is {number}.", "Choose a positive number."
                )

    def offset(self, side: int) -> float:
        """What is added to the diagonal of Adj/T."""
        return self.margin - 2.0 * float(lattice_cosines(side).min()) / self.temperature

    def eigenvalues(self, side: int) -> np.ndarray:
        """Eigenvalues of K, ``[L, L]`` in the order of NumPy's FFT."""
        return 2.0 * lattice_cosines(side) / self.temperature + self.offset(side)

    def value(self, field: np.ndarray) -> np.ndarray:
        """S of real fields ``[batch, L, L]``, ``[batch]`` float64."""
        _check_shape(field)
        if np.iscomplexobj(field):
            raise ValueError("The Ising dual field is real; this field is complex.")
        side = field.shape[1]
        field = np.asarray(field, dtype=np.float64)
        power = np.abs(np.fft.fft2(field)) ** 2 / side**2
        quadratic = 0.5 * np.sum(power / self.eigenvalues(side), axis=(1, 2))
        # ln cosh without overflow: |x| + ln(1 + e^(−2|x|)) − ln 2.
        log_cosh = np.logaddexp(field, -field) - np.log(2.0)
        return quadratic - np.sum(log_cosh, axis=(1, 2))
