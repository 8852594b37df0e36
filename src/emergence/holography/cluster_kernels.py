"""The cluster updates of complex φ⁴ and of the Ising model, compiled by Numba.

One thread, no fast-math, cached beside this module. Fields are flat: φ = x + iy of N = L² sites in
the order of rows. A random number is drawn from the NumPy generator that is passed in, so a chain
is fixed by its seed. What the updates are for is told in :mod:`emergence.holography.cluster`.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _root(parent: np.ndarray, site: int) -> int:
    while parent[site] != site:
        parent[site] = parent[parent[site]]
        site = parent[site]
    return site


@njit(cache=True)
def _join(parent: np.ndarray, first: int, second: int) -> None:
    first, second = _root(parent, first), _root(parent, second)
    # The smaller index leads: roots then come before their members in the order of the sites.
    if first < second:
        parent[second] = first
    else:
        parent[first] = second


@njit(cache=True)
def _neighbours(side: int) -> np.ndarray:
    """Right, lower, left and upper neighbour, ``[N, 4]``."""
    table = np.empty((side * side, 4), np.int64)
    for row in range(side):
        for column in range(side):
            site = row * side + column
            table[site, 0] = row * side + (column + 1) % side
            table[site, 1] = (row + 1) % side * side + column
            table[site, 2] = row * side + (column - 1) % side
            table[site, 3] = (row - 1) % side * side + column
    return table


@njit(cache=True)
def _waves(side: int) -> np.ndarray:
    """cos and sin of the smallest momentum along an axis, ``[L, 2]``."""
    wave = np.empty((side, 2))
    for place in range(side):
        wave[place, 0] = np.cos(2.0 * np.pi * place / side)
        wave[place, 1] = np.sin(2.0 * np.pi * place / side)
    return wave


@njit(cache=True)
def _clusters(spin, coupling, table, parent, rng):
    """Set the bonds of spins of any length, S = −coupling Σ s_i s_j; the roots go to ``parent``."""
    sites = len(spin)
    for site in range(sites):
        parent[site] = site
    for site in range(sites):
        for direction in range(2):
            other = table[site, direction]
            strength = 2.0 * coupling * spin[site] * spin[other]
            if strength > 0.0 and rng.random() > np.exp(-strength):
                _join(parent, site, other)
    for site in range(sites):
        parent[site] = _root(parent, site)


@njit(cache=True)
def _measure_clusters(spin, parent, wave, sums, improved):
    """Add Σ_C |Σ_{x∈C} s_x e^{ikx}|² at k = 0 and averaged over |k| = 2π/L to ``improved``."""
    sites, side = len(spin), len(wave)
    sums[:] = 0.0
    for site in range(sites):
        row, column, value = site // side, site % side, spin[site]
        cluster = sums[parent[site]]
        cluster[0] += value
        cluster[1] += value * wave[row, 0]
        cluster[2] += value * wave[row, 1]
        cluster[3] += value * wave[column, 0]
        cluster[4] += value * wave[column, 1]
    for site in range(sites):
        if parent[site] == site:
            c = sums[site]
            improved[0] += c[0] * c[0]
            improved[1] += 0.5 * (c[1] * c[1] + c[2] * c[2] + c[3] * c[3] + c[4] * c[4])


@njit(cache=True)
def _correlate_clusters(spin, parent, side, correlation):
    """Add the sum over sites and axes of s_x s_{x+r} [one cluster] to ``correlation`` ``[L/2+1]``."""
    for row in range(side):
        for column in range(side):
            site = row * side + column
            for distance in range(side // 2 + 1):
                along = row * side + (column + distance) % side
                across = (row + distance) % side * side + column
                if parent[along] == parent[site]:
                    correlation[distance] += spin[site] * spin[along]
                if parent[across] == parent[site]:
                    correlation[distance] += spin[site] * spin[across]


@njit(cache=True)
def _reflect(x, y, t, angle, table, work, wave, sums, improved, correlation, rng):
    """One update of the embedded Ising variables p = x cos α + y sin α, measured on its clusters."""
    spin, parent, flips = work
    cosine, sine = np.cos(angle), np.sin(angle)
    for site in range(len(x)):
        spin[site] = x[site] * cosine + y[site] * sine
    _clusters(spin, t, table, parent, rng)
    _measure_clusters(spin, parent, wave, sums, improved)
    if len(correlation):
        _correlate_clusters(spin, parent, len(wave), correlation)
    for site in range(len(x)):
        if parent[site] == site:
            flips[site] = rng.random() < 0.5
        if flips[parent[site]]:
            x[site] -= 2.0 * cosine * spin[site]
            y[site] -= 2.0 * sine * spin[site]


@njit(cache=True)
def _overrelax(x, y, table):
    for site in range(len(x)):
        field_x, field_y = 0.0, 0.0
        for direction in range(4):
            field_x += x[table[site, direction]]
            field_y += y[table[site, direction]]
        length = field_x * field_x + field_y * field_y
        if length > 0.0:
            scale = 2.0 * (x[site] * field_x + y[site] * field_y) / length
            x[site] = scale * field_x - x[site]
            y[site] = scale * field_y - y[site]


@njit(cache=True)
def _move_radii(x, y, t, mu, lam, step, table, rng):
    """Metropolis in ρ = |φ|² at fixed angles (d²φ = ½ dρ dθ); returns the moves accepted."""
    accepted = 0
    for site in range(len(x)):
        along = 0.0
        for direction in range(4):
            other = table[site, direction]
            along += x[site] * x[other] + y[site] * y[other]
        rho = x[site] * x[site] + y[site] * y[site]
        proposed = abs(rho + step * rng.standard_normal())
        stretch = np.sqrt(proposed / rho)
        gain = t * along * (stretch - 1.0) - (proposed - rho) * (mu + lam * (proposed + rho))
        if gain >= 0.0 or rng.random() < np.exp(gain):
            x[site] *= stretch
            y[site] *= stretch
            accepted += 1
    return accepted


@njit(cache=True)
def sweep_phi4(field, couplings, overrelaxations, rng, fields, improved, correlation):
    """``len(fields)`` sweeps of one chain from ``field`` ``[2, N]``, which is changed in place.

    After each, φ goes to ``fields`` ``[time, 2, N]``, the improved |φ̄|² and its structure factor to
    ``improved`` ``[time, 2]``, and the correlation to ``correlation`` ``[time, 0 or L/2 + 1]``.
    Without a radial step the radii stay. Returns the radial moves accepted.
    """
    t, mu, lam, step = couplings
    x, y = field
    sites = len(x)
    side = int(np.round(np.sqrt(sites)))
    table, wave = _neighbours(side), _waves(side)
    work = (np.empty(sites), np.empty(sites, np.int64), np.empty(sites, np.bool_))
    sums = np.empty((sites, 5))
    accepted = 0
    for time in range(len(fields)):
        angle = 2.0 * np.pi * rng.random()
        for turn in (0.0, 0.5 * np.pi):
            _reflect(
                x, y, t, angle + turn, table, work, wave, sums,
                improved[time], correlation[time], rng,
            )  # fmt: skip
        for _ in range(overrelaxations):
            _overrelax(x, y, table)
        if step > 0.0:
            accepted += _move_radii(x, y, t, mu, lam, step, table, rng)
        fields[time] = field
    return accepted


@njit(cache=True)
def _currents(spin, across, parent, table, currents):
    """Σ_C J_C² of the current J = Σ_x Im φ_x*φ_{x+d} = Σ_C s_C J_C, the mean over both axes d."""
    currents[:] = 0.0
    for site in range(len(spin)):
        right, lower, left, upper = table[site]
        currents[parent[site], 0] += spin[site] * (across[right] - across[left])
        currents[parent[site], 1] += spin[site] * (across[lower] - across[upper])
    total = 0.0
    for site in range(len(spin)):
        total += 0.5 * (currents[site, 0] ** 2 + currents[site, 1] ** 2)
    return total


@njit(cache=True)
def improve_phi4(fields, hoppings, draws, rng, improved):
    """Mean of |Σφ|², of its structure factor, of |Σφ|⁴ and of J² over signs of clusters on each field.

    Args:
        fields: ``[samples, 2, N]``, which stay as they are.
        hoppings: t of each, ``[samples]``.
        draws: random angles for each, with three more an eighth of a turn apart: of four such
            projections the second and the fourth powers average to those of the length exactly.
        improved: zeros, ``[samples, 4]``, which are added to.
    """
    sites = fields.shape[2]
    side = int(np.round(np.sqrt(sites)))
    table, wave = _neighbours(side), _waves(side)
    spin, across, parent = np.empty(sites), np.empty(sites), np.empty(sites, np.int64)
    sums, currents, second = np.empty((sites, 5)), np.empty((sites, 2)), np.empty(2)
    for sample in range(len(fields)):
        x, y = fields[sample]
        for turn in range(4 * draws):
            if turn % 4 == 0:
                angle = 2.0 * np.pi * rng.random()
            cosine, sine = np.cos(angle), np.sin(angle)
            for site in range(sites):
                spin[site] = x[site] * cosine + y[site] * sine
                across[site] = y[site] * cosine - x[site] * sine
            _clusters(spin, hoppings[sample], table, parent, rng)
            second[:] = 0.0
            _measure_clusters(spin, parent, wave, sums, second)
            fourth = 3.0 * second[0] ** 2
            for site in range(sites):
                if parent[site] == site:
                    fourth -= 2.0 * sums[site, 0] ** 4
            improved[sample, 0] += second[0] / (2.0 * draws)
            improved[sample, 1] += second[1] / (2.0 * draws)
            improved[sample, 2] += fourth / (1.5 * draws)
            improved[sample, 3] += _currents(spin, across, parent, table, currents) / (4.0 * draws)
            angle += 0.25 * np.pi


@njit(cache=True)
def sweep_ising(spin, coupling, rng, spins, improved):
    """``len(spins)`` Swendsen–Wang updates of one chain of spins ±1 ``[N]``, changed in place."""
    sites = len(spin)
    table = _neighbours(int(np.round(np.sqrt(sites))))
    parent = np.empty(sites, np.int64)
    sizes, flips = np.empty(sites), np.empty(sites, np.bool_)
    for time in range(len(spins)):
        _clusters(spin, coupling, table, parent, rng)
        sizes[:] = 0.0
        for site in range(sites):
            sizes[parent[site]] += 1.0
            if parent[site] == site:
                flips[site] = rng.random() < 0.5
            if flips[parent[site]]:
                spin[site] = -spin[site]
            spins[time, site] = spin[site]
        for site in range(sites):
            improved[time] += sizes[site] * sizes[site]
