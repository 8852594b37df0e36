"""One study of a bulk: true samples of the boundary, pushed through five maps, and what they share."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from emergence.artifacts import Arrays
from emergence.errors import SettingsError
from emergence.holography import bulk_prior, footprint, true_samples
from emergence.holography.arms import flow_of
from emergence.holography.bulk import BulkCovariance, BulkTable, paired_latents
from emergence.holography.bulk_information import BUDGET, bulk_multi_information, sampled_budget
from emergence.holography.bulk_maps import Bulk, bulks_of, spectra
from emergence.holography.bulk_pairs import pair_information
from emergence.holography.bulk_portions import Portions, Sums
from emergence.holography.bulk_stored import MAPS, store_pairs
from emergence.holography.chain_records import identity_of
from emergence.holography.flow_map import FlowMap, as_reals
from emergence.holography.identity import study_of
from emergence.holography.linear_map import LinearMap
from emergence.holography.mutual_information import (
    Estimate,
    estimate,
    gaussian_information,
    jackknife,
    neighbour_information,
)
from emergence.holography.optimal_map import linear_multi_information
from emergence.holography.points import Point, action_of, centre_of
from emergence.progress import Progress, say
from emergence.randomness import derive_seed, generator
from emergence.settings import BulkSettings, Settings
from emergence.settings.studies import FEWEST_FIELDS

CHUNKS = FEWEST_FIELDS
"""Chunks of samples for the jackknife and the bootstrap, each of several autocorrelation times."""
BUDGET_CHUNKS = 10
"""Fewer for the budgets, whose determinants are the dearest."""
NEIGHBOUR_POINTS = 6000
"""Pairs of angles that the nearest-neighbour estimator is given."""
LINKS = (((0, 0), (0, 1)), ((1, 1), (0, 1)), ((0, 1), (0, 0)), ((0, 2), (0, 0)))
"""Levels and offset of the cells whose latents are compared without assuming a law."""
LAYERS = 2
"""True samples whose coarse fields are kept, to be looked at."""


def point_of(settings: Settings, study: BulkSettings) -> Point:
    """(t, μ) of the boundary of a study.

    Raises:
        SettingsError: the flow is of a real field.
    """
    chosen = settings.holography
    theory = chosen.theories[chosen.flows[study.flow].theory]
    if theory.model != "phi4":
        raise SettingsError(
            f"The bulk of the flow {study.flow} is that of a real field, and only complex ones are"
            " studied.",
            "Choose a flow of complex φ⁴ or of the free field.",
        )
    if study.t is None:
        return centre_of(theory)
    return study.t, chosen.diagram.mu_at(study.t)


def study(
    settings: Settings, name: str, parameters: Arrays, checkpoint: Path | None = None
) -> Arrays:
    """Everything that the readings ask of one bulk.

    Args:
        parameters: of the trained flow, ``[seeds, ...]`` each; the first seed is studied.
        checkpoint: file that portions of fields are kept in, and that a rerun goes on from.

    Returns:
        ``t``, ``mu``; ``log_weights`` ``[samples]``, −S − ln q of the true samples;
        ``boundary`` ``[chunks, L, L]``, the covariance by displacement; ``layer_<level>``, coarse
        fields of a few samples, complex ``[LAYERS, n, n]``; ``prior_…`` of
        :class:`.bulk_prior.BulkPrior`; and of each map what :func:`measure`, :func:`links` and
        :func:`moved_area` give, as ``<map>_<name>``.

    Raises:
        SettingsError: the flow is of a real field, or the samples are too few.
        ArtifactError: the parameters are of another flow, or not finite.
    """
    chosen = settings.holography
    study = chosen.bulks[name]
    point = point_of(settings, study)
    seed = derive_seed(settings.seed, "holography", "bulk", name)
    theory = chosen.theories[chosen.flows[study.flow].theory]
    # A flow that is told nothing of its couplings stays the map that it is, at its own.
    own = point if theory.conditional else centre_of(theory)
    flow = FlowMap(flow_of(chosen, study.flow, study.size), parameters, own, chosen.chunk)
    action = action_of(theory, point)
    arrays: Arrays = {"t": np.array(point[0]), "mu": np.array(point[1])}
    with Progress(f"bulk {name}", len(MAPS) + 4) as progress:
        draw = partial(
            true_samples.draw,
            action,
            study.size,
            chains=study.chains,
            samples=study.samples,
            thinning=study.thinning,
            thermalisation=chosen.diagram.thermalisation,
        )
        field = draw(seed=seed)
        arrays["boundary"] = boundary(field)
        progress.advance(1, "true samples drawn")
        coordinates, log_density = flow.invert(field)
        arrays["log_weights"] = -action.value(field) - log_density
        progress.advance(2, "samples pushed into the bulk")
        arrays |= maps(flow, field, coordinates, seed, progress)
        arrays |= radial(flow, coordinates)
        arrays |= prior(flow, coordinates)
        arrays |= layers(flow, field, coordinates)
        progress.advance(len(MAPS) + 3, "prior of the bulk")
        arrays |= footprints(flow, study.footprints, seed)
    if study.portions:
        depends = {"study": study_of(settings, study)}
        store = Sums(checkpoint, identity_of(depends, parameters), settings.checkpoint_seconds)
        portions = Portions(
            coordinates,
            lambda n: draw(seed=derive_seed(seed, "portion", n)),
            study.portions,
            CHUNKS,
        )
        with Progress(f"pairs of bulk {name}", study.portions) as progress:
            every = portions.covariance(flow, store, progress)
        found = pair_information(every, rng=generator(seed, "bootstrap", "portions"))
        arrays |= {f"trained_{key}": values for key, values in store_pairs(found).items()}
    return arrays


def maps(
    flow: FlowMap, field: np.ndarray, coordinates: np.ndarray, seed: int, progress: Progress
) -> Arrays:
    """What :func:`measure` and :func:`links` give of each map, as ``<map>_<name>``."""
    powers = spectra(field, CHUNKS)
    every = bulks_of(flow, field, coordinates, powers.mean(axis=0), generator(seed, "maps"))
    arrays: Arrays = {}
    for index, (key, bulk) in enumerate(every):
        rng = generator(seed, "bootstrap", key)
        found = measure(bulk, powers, rng)
        if key in ("trained", "untrained"):
            found |= links(bulk, rng)
        arrays |= {f"{key}_{label}": values for label, values in found.items()}
        del bulk  # before the next one is made
        progress.advance(3 + index, f"map {key}")
    return arrays


def boundary(field: np.ndarray) -> np.ndarray:
    """⟨φ_x φ*_{x+r}⟩ by displacement, real ``[chunks, L, L]``: its imaginary part is zero."""
    return footprint.boundary_covariance(field, chunks=CHUNKS)[..., 0, 0].real


def columns(values: list[Estimate]) -> np.ndarray:
    """``[..., 2]``: value and error."""
    return np.array([[one.value, one.error] for one in values])


def measure(bulk: Bulk, powers: np.ndarray, rng: np.random.Generator) -> Arrays:
    """What the latents of one map share.

    Returns:
        ``pair_<column>`` of :class:`.bulk_pairs.PairInformation` between cells; ``length``
        ``[levels, 3]``, level, correlation length in cells and its error, NaN where the noise
        hides it; ``multi`` ``[2]``, multi-information of the latents, see :func:`shared`;
        ``budget`` ``[6, 2]`` of the first decimators (:data:`.bulk_information.BUDGET`), of the field
        that they act on; ``budget_whole`` of disentanglers and decimators together, of the boundary.
    """
    covariance = BulkCovariance.sampled(bulk.latents, bulk.table, chunks=CHUNKS)
    found = pair_information(covariance, rng=rng)
    arrays = store_pairs(found)
    arrays["length"] = np.array(
        [
            [level, *_length(covariance.blocks[level, level])]
            for level, cells in bulk.table.cells.items()
            if len(cells) >= 4
        ]
    ).reshape(-1, 3)
    arrays["multi"] = columns([shared(bulk, covariance, powers)])[0]
    budget = sampled_budget(bulk.turned, bulk.step, chunks=BUDGET_CHUNKS)
    arrays["budget"] = columns([budget[key] for key in BUDGET])
    if bulk.turned is not bulk.field:
        budget = sampled_budget(bulk.field, bulk.step, chunks=BUDGET_CHUNKS)
    arrays["budget_whole"] = columns([budget[key] for key in BUDGET])
    return arrays


def shared(bulk: Bulk, covariance: BulkCovariance, powers: np.ndarray) -> Estimate:
    """Multi-information of all latents, nats, in the Gaussian approximation.

    For a linear map from the spectra ``[chunks, L, L]`` of the field, which know of all of its
    translations. For the flow from the covariance of the latents; NaN where that is not positive:
    its blocks are averaged over different numbers of translations, and of strongly correlated
    latents the small eigenvalues drown in what those differ by.
    """
    if bulk.map is None:
        try:
            return bulk_multi_information(covariance)
        except SettingsError:
            return Estimate(float("nan"), float("nan"))
    chunks, mean = len(powers), powers.mean(axis=0)
    without = (chunks * mean - powers) / (chunks - 1)
    # Twice that of a real field.
    values = [2.0 * linear_multi_information(one, bulk.map) for one in (mean, *without)]
    value, error = jackknife(np.float64(values[0]), np.array(values[1:]))
    return Estimate(float(value), float(error))


def _length(blocks: np.ndarray) -> tuple[float, float]:
    try:
        found = footprint.correlation_length(blocks)
    except SettingsError:
        return float("nan"), float("nan")
    return found.value, found.error


def links(bulk: Bulk, rng: np.random.Generator) -> Arrays:
    """Mutual information of a few pairs of angles by nearest neighbours, beside the Gaussian one.

    Of each two cells of :data:`LINKS` the two latents whose phases are correlated most, pooled over
    translations and thinned: where the Gaussian estimator could miss most.

    Returns:
        ``link_levels`` ``[links, 2]``, ``link_neighbour`` and ``link_gaussian`` ``[links, 3]``:
        value, error and what shuffled pairs give.
    """
    latents = bulk.latents
    phases = latents if np.iscomplexobj(latents) else latents[..., 0] + 1j * latents[..., 1]
    phases = phases / np.abs(phases)
    last = bulk.table.side.bit_length() - 2
    chosen, neighbour, gaussian = [], [], []
    for levels, offset in LINKS:
        if max(levels) > last or (levels[0] == levels[1] == last):
            continue
        x, y = _strongest(phases, bulk.table, levels, offset)
        angles = np.mod(np.angle(x), 2.0 * np.pi), np.mod(np.angle(y), 2.0 * np.pi)
        options = {"chunks": 10, "rng": rng}
        found = estimate(*angles, _periodic, **options)
        chosen.append(levels)
        neighbour.append([found.value, found.error, found.floor])
        found = estimate(x, y, gaussian_information, **options)
        gaussian.append([found.value, found.error, found.floor])
    return {
        "link_levels": np.array(chosen),
        "link_neighbour": np.array(neighbour),
        "link_gaussian": np.array(gaussian),
    }


def _periodic(x: np.ndarray, y: np.ndarray) -> float:
    return neighbour_information(x, y, period=2.0 * np.pi)


def _strongest(
    phases: np.ndarray, table: BulkTable, levels: tuple[int, int], offset: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The pair of latents of two cells that is correlated most, thinned."""
    sizes = [table.cells[level].shape[2] for level in levels]
    candidates = [
        paired_latents(phases, table, levels, offset, (a, b))
        for a in range(sizes[0])
        for b in range(sizes[1])
    ]
    x, y = max(candidates, key=lambda pair: abs(np.vdot(*pair)))
    stride = max(1, len(x) // NEIGHBOUR_POINTS)
    return x[::stride], y[::stride]


def radial(flow: FlowMap, coordinates: np.ndarray) -> Arrays:
    """``radial_multi`` ``[2]``: multi-information of s, which phases know nothing of; polar only."""
    if not flow.circular:
        return {}
    s = coordinates[..., 0].reshape(len(coordinates), -1)
    covariance = BulkCovariance.sampled(s, flow.table, chunks=CHUNKS)
    return {"radial_multi": columns([bulk_multi_information(covariance)])[0]}


def prior(flow: FlowMap, coordinates: np.ndarray) -> Arrays:
    """The learnt prior: ``prior_gain``, ``prior_held_out``, ``prior_selected`` ``[2]``, its couplings.

    Nothing where the latents are correlated too strongly for so few samples, see :func:`shared`.
    """
    zeta = bulk_prior.gaussian_latents(coordinates, polar=flow.circular)
    try:
        fitted = bulk_prior.fit(zeta, flow.table, chunks=CHUNKS)
    except SettingsError as error:
        say(str(error))
        return {}
    names = ("level", "other", "separation", "coupling", "error")
    return {
        "prior_gain": columns([fitted.gain])[0],
        "prior_held_out": columns([fitted.held_out])[0],
        "prior_selected": columns([fitted.selected])[0],
        "prior_kept": np.array(fitted.kept),
        **{f"prior_{name}": getattr(fitted, name) for name in names},
    }


def layers(flow: FlowMap, field: np.ndarray, coordinates: np.ndarray) -> Arrays:
    """``layer_<level>``: a few samples and what each level makes of them, complex ``[LAYERS, n, n]``."""
    every = max(1, len(field) // LAYERS)
    chosen = coordinates[::every][:LAYERS]
    found = {"layer_0": field[::every][:LAYERS]}
    for level in range(1, flow.flow.levels):
        found[f"layer_{level}"] = flow.coarse_field(chosen, level)
    return found


def footprints(flow: FlowMap, samples: int, seed: int) -> Arrays:
    """Where one latent of each level moves the boundary, for three maps.

    Returns:
        ``<map>_footprint`` ``[levels, L, L]``, mean |Δφ|; ``<map>_participation`` and
        ``<map>_half_maximum`` ``[levels, 2]``, areas in sites.
    """
    side, sites = flow.flow.side, flow.flow.side**2
    haar = LinearMap.haar(side)

    def polar(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape)
        if flow.circular:
            values[..., 1] = rng.uniform(-np.pi, np.pi, shape[:-1])
        return values

    def generate(values: np.ndarray) -> np.ndarray:
        return as_reals(flow.generate(values.reshape(-1, side, side, 2)))

    def alone(values: np.ndarray) -> np.ndarray:
        return as_reals(flow.variables(values.reshape(-1, side, side, 2)).reshape(-1, side, side))

    arrays: Arrays = {}
    for name, call, table, own, shape in (
        ("trained", generate, flow.table, polar, (samples, sites, 2)),
        ("untrained", alone, flow.table, polar, (samples, sites, 2)),
        ("haar", haar.generate, haar.table, footprint.standard_normal, (samples, sites)),
    ):
        rng = generator(seed, "footprints", name)
        prints = footprint.footprints(
            call, own(rng, shape), table, prior=own, rng=rng, chunks=min(10, samples)
        )
        arrays[f"{name}_footprint"] = np.array([one.mean for one in prints])
        arrays[f"{name}_participation"] = columns([one.participation for one in prints])
        arrays[f"{name}_half_maximum"] = columns([one.half_maximum for one in prints])
    return arrays
