"""Records of chains: a run that is killed goes on; one may go on later, with another flow."""

from types import SimpleNamespace

import numpy as np
import pytest

from emergence.artifacts import provenance_path, write_arrays, write_numbers
from emergence.errors import ArtifactError
from emergence.holography import chains
from emergence.holography.chain_moves import RefreshMoves
from emergence.holography.chain_records import Store, origin_of, read_beforehand, require_theory

BRIEF = {"trajectories": 60, "tuning": 30, "cold": 30}


def whole(arrays: chains.Arrays) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in arrays.items()}


@pytest.fixture(scope="module")
def samplers():
    """Compiled samplers by what they are compiled for."""
    return {}


@pytest.fixture(autouse=True)
def compiled_once(samplers, monkeypatch):
    """Runs that move alike share what is compiled, which takes longer than they do."""

    def moves(entry, problem, *given):
        found = RefreshMoves(entry, problem, *given)
        counts = {"chains", "trajectories", "tuning", "cold"}
        key = f"{entry.model_dump_json(exclude=counts)} {problem}"
        found._sampler = samplers.setdefault(key, found._sampler)
        return found

    monkeypatch.setattr(chains, "RefreshMoves", moves)


@pytest.fixture
def brief(settings_of):
    """Settings of one brief run, which is kept after every segment."""

    def brief(**changes):
        latents = {"flow": "disc", "space": "bulk", "leapfrogs": None, "refreshes": 2}
        found = settings_of(run=latents | BRIEF | changes)
        return found.model_copy(update={"checkpoint_seconds": 0.0})

    return brief


@pytest.fixture(scope="module")
def drawn_before():
    """Arrays of undisturbed runs by their settings."""
    return {}


@pytest.fixture
def quietly(drawn_before, crooked):
    """What a run of these settings comes to undisturbed; drawn once for all tests."""

    def quietly(settings):
        key = settings.model_dump_json()
        if key not in drawn_before:
            drawn_before[key] = chains.run(settings, "run", crooked(settings, "disc"))[0]
        return drawn_before[key]

    return quietly


def stopped(settings, weights, file, after: int) -> None:
    """Run until so many segments were kept, then stop without a word."""
    kept = Store.keep

    def keep(store, records):
        kept(store, records)
        if sum(len(found) for found in records.series.values()) == after:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            chains.run(settings, "run", weights, file)


@pytest.mark.parametrize("after", [1, 3, 4])
def test_interrupted_they_end_with_the_same_bytes(brief, crooked, quietly, tmp_path, after):
    settings = brief()
    weights = crooked(settings, "disc")
    quiet = quietly(settings)
    stopped(settings, weights, tmp_path / "kept.npz", after)
    drawn = []
    segment = chains.Batch._segment
    with pytest.MonkeyPatch.context() as patch:
        counted = lambda *given: drawn.append(1) or segment(*given)  # noqa: E731
        patch.setattr(chains.Batch, "_segment", counted)
        again, timing = chains.run(settings, "run", weights, tmp_path / "kept.npz")
    assert whole(again) == whole(quiet)
    assert len(drawn) == 5 - after, "Three segments and two from the cold start."
    assert timing["seconds_per_trajectory"] > 0.0


def test_other_weights_or_a_damaged_file_begin_anew(brief, crooked, quietly, tmp_path, capfd):
    settings = brief()
    weights, file = crooked(settings, "disc"), tmp_path / "kept.npz"
    quiet = quietly(settings)
    stopped(settings, crooked(settings, "disc", 0.05), file, 2)
    assert whole(chains.run(settings, "run", weights, file)[0]) == whole(quiet)
    assert "is of other settings or weights and is not continued." in capfd.readouterr().err
    file.write_bytes(b"PK")
    assert whole(chains.run(settings, "run", weights, file)[0]) == whole(quiet)
    assert "cannot be read and is not continued" in capfd.readouterr().err


def test_continued_from_records_drawn_beforehand(brief, crooked, tmp_path):
    settings = brief(chains=512, trajectories=40, cold=0)
    first, _ = chains.run(settings, "run", crooked(settings, "disc"))
    write_arrays(tmp_path / "before.npz", first)
    # With another flow: its latents of the same fields.
    later, _ = chains.run(
        settings, "run", crooked(settings, "disc", 0.02), before=tmp_path / "before.npz"
    )  # fmt: skip
    assert later["order"].shape == (1, 512, 80)
    assert np.array_equal(later["order"][..., :40], first["order"])
    assert np.array_equal(later["tuned"], first["tuned"])
    assert not np.array_equal(later["order"][..., 40:], first["order"])
    halves = [half.mean(axis=2)[0] for half in np.split(later["density"], 2, axis=2)]
    error = np.hypot(*(half.std() / np.sqrt(512) for half in halves))
    assert abs(halves[1].mean() - halves[0].mean()) < 5.0 * error
    assert later["acceptance"] != first["acceptance"]
    assert (first["segments"], later["segments"]) == (2, 4)


def test_a_third_run_does_not_draw_the_second_one_s_segments_again(brief, crooked, tmp_path):
    settings = brief(trajectories=30, cold=0)
    weights = crooked(settings, "disc")
    drawn, segment = [], chains.Batch._segment

    def told(batch, records, states, part, seed):
        drawn.append(seed)
        return segment(batch, records, states, part, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains.Batch, "_segment", told)
        found = chains.run(settings, "run", weights)[0]
        for name in ("second.npz", "third.npz"):
            write_arrays(tmp_path / name, found)
            found = chains.run(settings, "run", weights, before=tmp_path / name)[0]
    assert len(set(drawn)) == len(drawn) == 6
    assert found["order"].shape == (1, 32, 90)


def test_a_few_more_trajectories_leave_the_blocks_of_the_correlation_alone(
    brief, crooked, tmp_path
):
    weights = crooked(brief(), "disc")
    found = chains.run(brief(cold=0, chains=8), "run", weights)[0]
    write_arrays(tmp_path / "before.npz", found)
    few = chains.run(brief(cold=0, chains=8, trajectories=1), "run", weights)[0]
    assert few["correlation"].shape != found["correlation"].shape
    joined = chains.run(
        brief(cold=0, chains=8, trajectories=1), "run", weights, before=tmp_path / "before.npz"
    )[0]
    np.testing.assert_array_equal(joined["correlation"], found["correlation"])
    assert joined["order"].shape[2] == found["order"].shape[2] + 1


def test_a_single_segment_is_timed_by_another(brief, crooked, tmp_path):
    settings = brief(trajectories=20, cold=0)
    weights, file = crooked(settings, "disc"), tmp_path / "kept.npz"
    stopped(settings, weights, file, 1)
    found, timing = chains.run(settings, "run", weights, file)
    assert timing["seconds_per_trajectory"] > 0.0
    assert whole(found) == whole(chains.run(settings, "run", weights)[0])


def test_another_theory_or_other_records_begin_anew(brief, crooked, tmp_path, capfd):
    settings = brief()
    weights, file = crooked(settings, "disc"), tmp_path / "kept.npz"
    stopped(settings, weights, file, 2)
    theory = settings.holography.theories["disc"].model_copy(update={"lam": 2.0})
    theories = settings.holography.theories | {"disc": theory}
    chosen = settings.holography.model_copy(update={"theories": theories})
    changed = settings.model_copy(update={"holography": chosen})
    chains.run(changed, "run", weights, file)
    assert "is of other settings or weights" in capfd.readouterr().err


def test_records_of_another_run_are_refused(brief, crooked, quietly, tmp_path):
    settings = brief()
    weights, found = crooked(settings, "disc"), quietly(settings)
    write_arrays(tmp_path / "few.npz", found | {"field": found["field"][:, 1:]})
    with pytest.raises(
        ArtifactError, match="of other couplings, moves or sides, or of another number"
    ):
        chains.run(settings, "run", weights, before=tmp_path / "few.npz")
    write_arrays(tmp_path / "old.npz", {k: v for k, v in found.items() if k != "field"})
    with pytest.raises(ArtifactError, match="lacks the array 'field'"):
        chains.run(settings, "run", weights, before=tmp_path / "old.npz")
    write_arrays(tmp_path / "spins.npz", {k: v for k, v in found.items() if k != "density"})
    with pytest.raises(ArtifactError, match="drawn beforehand lack density"):
        chains.run(settings, "run", weights, before=tmp_path / "spins.npz")
    short = {k: v[..., :2] for k, v in found.items() if v.ndim == 3 and k != "correlation"}
    write_arrays(tmp_path / "short.npz", found | short)
    brief_run = settings.holography.chains["run"].model_copy(update={"trajectories": 1})
    points, shape = np.stack([found["t"], found["mu"]], axis=1), found["field"].shape[2:]
    with pytest.raises(ArtifactError, match=r"2 records in .* and 1 more tell no autocorrelation"):
        read_beforehand(tmp_path / "short.npz", points, brief_run, shape)
    read_beforehand(tmp_path / "short.npz", points, settings.holography.chains["run"], shape)
    write_arrays(tmp_path / "steps.npz", found | {"tuned": found["tuned"][0]})
    with pytest.raises(ArtifactError, match="of other couplings, moves or sides"):
        chains.run(settings, "run", weights, before=tmp_path / "steps.npz")


def test_records_of_another_theory_are_refused(brief, tmp_path):
    path = tmp_path / "line.npz"
    theories = brief().holography.theories
    told = {name: theory.model_dump(mode="json") for name, theory in theories.items()}
    require_theory(path, "line", told["line"])  # no record tells of another
    write_numbers(provenance_path(path), {"settings": {"holography": {"theories": told}}})
    for name in theories:
        require_theory(path, name, told[name])
    require_theory(path, "line", told["line"] | {"t": [0.1, 0.9]})  # its points are compared apart
    for name, key in (("line", "lam"), ("spins", "temperature")):
        with pytest.raises(ArtifactError, match=rf"theory with {key} = .*run's has {key} = 2.5"):
            require_theory(path, name, told[name] | {key: 2.5})


@pytest.mark.parametrize(
    ("run", "flow", "expected"),
    [
        ({}, None, (False, 40, 0)),
        ({}, "name", (True, 40, 0)),
        ({"shipped": "records"}, "name", (True, 40, 30)),
        ({"space": "boundary"}, "name", (False, 40, 0)),
        ({"untrained": True}, "name", (False, 40, 0)),
    ],
    ids=["of this run", "shipped weights", "and records", "no weights", "fresh weights"],
)
def test_tables_tell_whose_weights_and_records_a_run_rests_on(run, flow, expected) -> None:
    usual = {"flow": "a", "space": "bulk", "untrained": False, "shipped": None, "trajectories": 10}
    chosen = SimpleNamespace(
        chains={"run": SimpleNamespace(**usual | run)}, flows={"a": SimpleNamespace(shipped=flow)}
    )
    told = origin_of(chosen, "run", {"order": np.zeros((1, 4, 40)), "step": np.zeros(1)})
    assert tuple(told[name] for name in ("shipped", "records", "shipped_records")) == expected
