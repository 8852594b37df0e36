"""Settings of flows, chains and bulks: what cannot be trained or measured is told before."""

import pytest
from mappings import changed
from refused_settings import refusal

from emergence.settings import parse

CHAINS = {
    "flow": "line", "size": 2, "space": "bulk",
    "chains": 2, "tuning": 5, "trajectories": 5, "leapfrogs": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("flows", "disc", "sizes"), {6: "brief"}, "side 6 must be a power of two"),
        (("diagram", "sides"), [4, 12], "side 12 must be a power of two, so that 2×2 blocks can"),
        (("flows", "disc", "sizes"), {4: "brief", 2: "brief"}, "must exceed its predecessor"),
        (("theories", "disc", "lam"), 0.0, "no lowest value"),
        (
            ("theories", "disc", "lam"),
            -1.0,
            "λ = -1 is unstable, as the action has no lowest value",
        ),
        (("theories", "line", "t"), [0.5, 0.1], "runs from 0.5 down to 0.1"),
        (("theories", "ising", "t"), 1.0, "takes no t"),
        (("flows", "disc", "theory"), "ising", "splines are for complex fields"),
        (("flows", "disc", "theory"), "none", "flows.disc.theory"),
        (("stages", "brief", 0, "update"), "natural_gradient", "must use adam"),
        (("stages", "brief", 0, "candidates"), 2, "must fall to 1"),
        (("stages", "brief", 0, "groups"), 3, "multiple of its groups"),
        (("samples",), 13, "no multiple of the chunk"),
        (("flows", "disc", "samples"), 12, "flows.disc: the samples 12 are no multiple"),
        (("samples",), 1, "holography.samples has the value 1, but input should be greater than"),
        (("flows", "disc", "samples"), 1, "greater than or equal to 2"),
        (("diagram", "sweeps"), 3, "diagram.sweeps has the value 3, but input should be greater"),
        (("diagram", "t"), [0.6, 0.7], "flows.line: none of the diagram's t = [0.6, 0.7]"),
        (("diagram", "t"), [0.2, 0.4, 0.2], "t = [0.2, 0.4, 0.2] holds one of them twice"),
        (("diagram", "sides"), [4, 4], "sides = [4, 4] holds one of them twice"),
        (("chains",), {"a": {**CHAINS, "t": [0.2, 0.2]}}, "holds one of them twice"),
        (("chains",), {"a": {**CHAINS, "t": []}}, "at least 1 item"),
        (("diagram", "lam"), 20.0, "whose λ is 20, but line is of λ = 25"),
        (("chains",), {"a": {**CHAINS, "flow": "none"}}, "chains.a.flow"),
        (("chains",), {"a": {**CHAINS, "size": 8}}, "has no size 8"),
        (("chains",), {"a": {**CHAINS, "flow": "disc", "t": [0.2]}}, "is not told t"),
        (("chains",), {"a": {**CHAINS, "t": [0.7]}}, "outside the flow's"),
    ],
)
def test_a_fault_names_file_key_and_reason(build_settings, path, value, told):
    settings = build_settings()
    settings["holography"]["chains"] = {"along": {**CHAINS, "t": [0.2]}}
    assert told in refusal(changed(settings, ("holography", *path), value))


def test_what_goes_on_from_weights_is_one_candidate(build_settings):
    settings = build_settings()
    brief = settings["holography"]["stages"]["brief"][0]
    several = [brief | {"candidates": 2}, brief]
    accepted = changed(settings, ("holography", "stages", "several"), several)
    parse(
        changed(accepted, ("holography", "flows", "disc", "sizes"), {2: "several", 4: "brief"}), "x"
    )
    assert "is one candidate" in refusal(
        changed(accepted, ("holography", "flows", "disc", "sizes"), {2: "brief", 4: "several"})
    )


PRIOR = {
    "theory": "disc", "network": "spline", "width": 4, "after": "disc", "prior": 1,
    "sizes": {2: "brief"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("flows", "prior", "after"), None, "give both after and prior"),
        (("flows", "prior", "prior"), None, "give both after and prior"),
        (("flows", "prior", "prior"), -1, "greater than or equal to 0"),
        (("flows", "prior", "shipped"), "disc", "starts from the weights of disc"),
        (("flows", "prior", "after"), "none", "flows.prior.after = 'none' is not one of"),
        (("flows", "prior", "after"), "prior", "prior has a prior already; give its map"),
        (("flows", "prior", "width"), 5, "the map of disc is of another width, 4"),
        (("flows", "prior", "theory"), "line", "the map of disc is of another theory, 'disc'"),
        (("flows", "prior", "sizes"), {4: "brief"}, "flows.prior: disc has no size 4"),
        (("flows", "prior", "after"), "line", "the map of line is of another theory, 'line'"),
        (("stages", "brief", 0, "ridge"), 0.1, "flows.prior: a ridge would change the map"),
        (("stages", "brief", 0, "estimator"), "score", "flows.disc: the estimator score is that"),
    ],
)
def test_a_prior_is_trained_for_a_map_of_the_same_architecture(build_settings, path, value, told):
    settings = build_settings()
    settings["holography"]["flows"]["prior"] = dict(PRIOR)
    parse(settings, "x")
    assert told in refusal(changed(settings, ("holography", *path), value))


def test_a_prior_is_of_one_point_and_has_no_bulk_to_study(build_settings):
    settings = build_settings()
    flows = settings["holography"]["flows"]
    flows["prior"] = PRIOR | {"theory": "line", "after": "line"}
    assert "at one t and one mu of it" in refusal(settings)
    flows["prior"] = dict(PRIOR)
    settings["holography"]["bulks"] = {"of_prior": {"flow": "prior", "size": 2, "samples": 10}}
    assert "bulks.of_prior: what prior has in its bulk is a prior; study the map, disc" in refusal(
        settings
    )


def test_a_prior_starts_from_its_map_at_every_side(build_settings):
    settings = build_settings()
    flows = settings["holography"]["flows"]
    flows["disc"]["sizes"] = {2: "brief", 4: "brief"}
    flows["prior"] = PRIOR | {"sizes": {2: "brief", 4: "brief"}}
    chosen = parse(settings, "x").holography.flows
    assert chosen["prior"].starts_from("prior", 4) == ("disc", 4)
    assert chosen["prior"].before(4) is None
    assert chosen["disc"].starts_from("disc", 4) == ("disc", 2)
    assert chosen["disc"].starts_from("disc", 2) is None


PLANE = {"flow": "line", "side": 2, "t": [0.2, 0.3], "mu": [-199.6, -199.4], "sweeps": 4}


def test_a_map_is_measured_by_no_fewer_sweeps_than_tell_an_autocorrelation(build_settings):
    settings = build_settings()
    settings["holography"]["plane"] = PLANE
    parse(settings, "x")
    told = refusal(changed(settings, ("holography", "plane", "sweeps"), 3))
    assert "plane.sweeps has the value 3" in told
    told = refusal(changed(settings, ("holography", "plane", "mu"), [-199.6, -199.6]))
    assert "mu = [-199.6, -199.6] holds one of them twice" in told


def test_a_flow_of_the_map_needs_no_hopping_of_the_diagram(build_settings):
    settings = changed(build_settings(), ("holography", "diagram", "t"), [0.6, 0.7])
    settings["holography"]["plane"] = PLANE
    parse(settings, "x")


@pytest.mark.parametrize("name", ["line_4", "some_bulk", "some_boundary", "some_untrained"])
def test_chains_that_are_read_have_an_autocorrelation(build_settings, name):
    runs = {key: dict(CHAINS) for key in ("some_bulk", "some_boundary", name)}
    settings = changed(build_settings(), ("holography", "chains"), runs)
    parse(settings, "x")
    few = ("holography", "chains", name, "trajectories")
    told = refusal(changed(settings, few, 3))
    assert f"chains.{name}: 3 trajectories tell no autocorrelation" in told
    # They go on from records drawn beforehand, which are longer.
    parse(changed(changed(settings, few, 3), (*few[:-1], "shipped"), "before"), "x")


def test_a_cold_start_has_chains_that_scatter(build_settings):
    settings = changed(build_settings(), ("holography", "chains"), {"run": CHAINS | {"cold": 3}})
    parse(settings, "x")
    alone = changed(settings, ("holography", "chains", "run", "chains"), 1)
    assert "a cold start needs two chains or more" in refusal(alone)
    parse(changed(alone, ("holography", "chains", "run", "cold"), 0), "x")


def test_chains_that_nothing_reads_may_be_short(build_settings):
    runs = {name: CHAINS | {"trajectories": 1} for name in ("along", "line_16", "lonely_bulk")}
    parse(changed(build_settings(), ("holography", "chains"), runs), "x")


def test_a_bulk_is_told_from_chunks_of_its_fields(build_settings):
    study = {"flow": "disc", "size": 2, "chains": 4, "samples": 5, "footprints": 2}
    settings = changed(build_settings(), ("holography", "bulks"), {"one": study})
    parse(settings, "x")
    told = refusal(changed(settings, ("holography", "bulks", "one", "samples"), 4))
    assert "bulks.one: 4 chains of 4 samples are 16 fields" in told
    told = refusal(changed(settings, ("holography", "bulks", "one", "footprints"), 1))
    assert "footprints has the value 1" in told
