"""Whatever is wrong with its inputs, a command writes the whole output, or says so and writes nothing.

What is refused is counted, so that a fuzz of nothing but harmless damages fails.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import COMMANDS, ROOT, STAGES, refused
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from malformed import (
    WRITABLE,
    damage_bytes,
    damage_cell,
    damage_key,
    damage_value,
    first_lines,
    fuzz,
    of_one_claim,
)
from mappings import changed, places

from emergence import artifacts, host
from emergence.errors import SettingsError
from emergence.settings import load

CHAINS = {"flow": "line", "size": 2, "space": "bulk", "chains": 2, "tuning": 2, "trajectories": 8}
CHAINS |= {"refreshes": 2}
GIVEN = {"rates": "0.001", "arm": "line", "name": "line", "size": "2", "dataset": "waves"}
"""Options of stages that are no files."""
FIGURES = {
    "introspection": "bottleneck",
    "holography": "likelihood",
    "retraining": "energy_error",
}


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory, build_settings):
    """A folder with tiny settings, a dataset, weights of a flow and of a chain, samples and records."""
    from emergence.holography import growth
    from emergence.holography.arms import problem_of
    from emergence.holography.identity import study_of
    from emergence.introspection import dataset
    from emergence.weights import write_weights

    folder = tmp_path_factory.mktemp("cli")
    content = build_settings()
    content["holography"]["chains"] = {"line": CHAINS}
    (folder / "settings.yaml").write_text(yaml.safe_dump(content))
    chosen = load(folder / "settings.yaml")
    artifacts.write_arrays(folder / "waves.npz", dataset.make(chosen.introspection, "waves", 7))
    growth.write_flow(folder / "flow", problem_of(chosen, "line", 2).initial_parameters(1), 2)
    write_weights(folder / "chain", {"p/w": np.eye(2)}, {"order": ["p/w"]})
    for name in ("flow", "chain"):
        artifacts.record_provenance(
            [folder / name], stage="test", settings={}, seed=1, started=0.0, device="CPU"
        )
    records = {"field": np.zeros((1, 2, 2, 2, 2)), "tuned": np.zeros((1, 2))}
    artifacts.write_arrays(folder / "records.npz", records)
    sampled = folder / "shipped/holography/chains/line.npz"
    artifacts.write_arrays(sampled, records | {"timing/seconds": np.array(1.0)})
    known = study_of(chosen, chosen.holography.chains["line"])
    manifest = {"scale": "tiny", "commit": "none", "jobs": {}, "left_out": {}, "drawn_again": {}}
    entry = {"sha256": artifacts.sha256(sampled), "settings": known}
    manifest["samples"] = {"holography/chains/line": entry}
    artifacts.write_numbers(folder / "shipped/manifest.json", manifest)
    return folder


@pytest.fixture
def judged(tmp_path) -> Path:
    """A folder with one claim, its measurements, a certificate of drift, costs and the verdict."""
    ledger = of_one_claim(ROOT / "claims/introspection.yaml")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims/introspection.yaml").write_bytes(ledger)
    measured = json.loads((ROOT / "weights/laptop/introspection/measurements.json").read_text())
    told = {k: v for k, v in measured["measurements"].items() if k in ledger.decode()}
    system = tmp_path / "results/laptop/introspection"
    artifacts.write_numbers(system / "measurements.json", {"measurements": told})
    (tmp_path / "figures/laptop").mkdir(parents=True)
    drift = first_lines(ROOT / "figures/laptop/drift.csv")
    (tmp_path / "figures/laptop/drift.csv").write_bytes(drift)
    (tmp_path / "costs.csv").write_bytes(first_lines(ROOT / "config/costs.csv"))
    verdict = json.loads((ROOT / "figures/laptop/verdict.json").read_text())
    verdict["claims"] = [c for c in verdict["claims"] if c["system"] == "introspection"][:1]
    artifacts.write_numbers(tmp_path / "verdict.json", verdict)
    return tmp_path


DAMAGES = {".json": [damage_bytes, damage_value, damage_key], ".csv": [damage_bytes, damage_cell]}
DAMAGES[".yaml"] = DAMAGES[".json"]


def damage_one(data: st.DataObject, names: list[Path]) -> dict[Path, bytes]:
    """Damage one of these files; what stood in it, to be written back."""
    path = data.draw(st.sampled_from(names))
    whole = path.read_bytes()
    path.write_bytes(data.draw(st.sampled_from(DAMAGES[path.suffix]))(data, whole))
    return {path: whole}


def of_the_laptop(judged: Path) -> list:
    """Options that name the ledgers, results and figures of a house."""
    places = {"ledgers": "claims", "results": "results", "figures": "figures"}
    named = [part for option, name in places.items() for part in (f"--{option}", judged / name)]
    return ["--scale", "laptop", *named]


class TestJudging:
    def test_verify(self, here, judged):
        """Both verdicts at both places, or none of the four."""
        verdicts = {f"{root}/laptop/verdict.{kind}" for root in ("results", "figures")
                    for kind in ("md", "json")}  # fmt: skip
        inputs = files_of(judged)
        names = [
            judged / "claims/introspection.yaml", judged / "figures/laptop/drift.csv",
            judged / "results/laptop/introspection/measurements.json",
        ]  # fmt: skip
        arguments = ["verify", *of_the_laptop(judged)]
        statuses = []

        @settings(fuzz, max_examples=60)
        @given(data=st.data())
        def one(data):
            whole = damage_one(data, names)
            done = here(*arguments)
            statuses.append(done.returncode)
            if done.returncode in (0, 7):
                assert files_of(judged) == inputs | verdicts
                for name in verdicts:
                    (judged / name).unlink()
            else:
                refused(done, done.returncode)
                assert done.returncode in (3, 6)
                assert files_of(judged) == inputs
            for path, content in whole.items():
                path.write_bytes(content)

        one()
        assert sum(status in (3, 6) for status in statuses) >= 20
        assert 0 in statuses

    def test_report(self, here, judged):
        """The page, or the page that there was."""
        folder = judged / "results/laptop"
        shutil.move(judged / "verdict.json", folder / "verdict.json")
        (folder / "report.html").write_text("before")
        inputs = files_of(judged)
        names = [
            folder / "verdict.json", judged / "claims/introspection.yaml", judged / "costs.csv"
        ]  # fmt: skip
        arguments = ["report", *of_the_laptop(judged), "--record", judged / "costs.csv"]
        statuses = []

        @settings(fuzz, max_examples=60)
        @given(data=st.data())
        def one(data):
            whole = damage_one(data, names)
            done = here(*arguments)
            statuses.append(done.returncode)
            if done.returncode:
                refused(done, done.returncode)
                assert done.returncode in (3, 6)
                assert (folder / "report.html").read_text() == "before"
            else:
                assert (folder / "report.html").read_text().rstrip().endswith("</html>")
                (folder / "report.html").write_text("before")
            assert files_of(judged) == inputs
            for path, content in whole.items():
                path.write_bytes(content)

        one()
        assert sum(status > 0 for status in statuses) >= 20
        assert 0 in statuses


class TestStages:
    @fuzz
    @given(data=st.data())
    def test_settings_with_one_odd_value(self, here, build_settings, tmp_path_factory, data):
        content = build_settings()
        path = data.draw(st.sampled_from(list(places(content))))
        folder = tmp_path_factory.mktemp("fuzzed")
        file, output = folder / "mine.yaml", folder / "new" / "spectrum.npz"
        file.write_text(yaml.safe_dump(changed(content, path, data.draw(WRITABLE))))
        done = here("introspection", "spectral", "--settings", file, "--output", output)
        if done.returncode:
            refused(done, 2, output)
        else:
            artifacts.read_arrays(output)

    @fuzz
    @given(data=st.data())
    def test_settings_that_are_no_settings(self, here, place, tmp_path_factory, data):
        """Whichever stage reads them, it does so before anything that takes long."""
        stage = data.draw(st.sampled_from(STAGES))
        folder = tmp_path_factory.mktemp("fuzzed")
        file, output = folder / "mine.yaml", folder / "new" / "result"
        damage = data.draw(st.sampled_from([damage_bytes, damage_value, damage_key]))
        file.write_bytes(damage(data, (place / "settings.yaml").read_bytes()))
        try:
            load(file)
        except SettingsError:
            pass
        else:
            assume(False)
        options = GIVEN | ({"name": FIGURES[stage[0]]} if stage[1] == "figure" else {})
        arguments = []
        for option in COMMANDS[stage].params:
            if option.required and option.name not in ("settings", "output"):
                arguments += [option.opts[0], options.get(option.name, place / "flow")]
        done = here(*stage, *arguments, "--settings", file, "--output", output)
        assert str(file) in refused(done, 2, output)

    @pytest.mark.parametrize(
        ("stage", "option", "weights"),
        [
            ("holography flow --arm line --size 2", "--before", "flow"),
            ("holography chains --name line", "--weights", "flow"),
            ("holography ship", "--weights", "flow"),
            ("retraining grow --arm ising --size 6", "--before", "chain"),
            ("retraining ship", "--weights", "chain"),
        ],
    )
    @settings(fuzz, max_examples=25)
    @given(data=st.data())
    def test_weights_damaged_anywhere(
        self, here, place, tmp_path_factory, stage, option, weights, data
    ):
        """Their hash stands beside them, so nothing of any damage is taken for weights."""
        folder = tmp_path_factory.mktemp("fuzzed")
        shutil.copytree(place / weights, folder / weights)
        record = folder / f"{weights}.provenance.json"
        shutil.copy(place / record.name, record)
        path = data.draw(st.sampled_from([record, *sorted((folder / weights).iterdir())]))
        whole = path.read_bytes()
        if path == record:
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 3))])
        else:
            path.write_bytes(damage_bytes(data, whole))
            assume(path.read_bytes() != whole)
        output = folder / "new" / "result"
        done = here(
            *stage.split(), option, folder / weights,
            *("--settings", place / "settings.yaml", "--output", output),
        )  # fmt: skip
        assert str(folder / weights) in refused(done, 3, output)

    def cut(self, data: st.DataObject, path: Path, to: Path) -> None:
        whole = path.read_bytes()
        to.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

    @fuzz
    @given(data=st.data())
    def test_a_dataset_cut_off_anywhere(self, here, place, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("fuzzed")
        self.cut(data, place / "waves.npz", folder / "data.npz")
        output = folder / "new" / "translator"
        done = here(
            *("introspection", "translator", "--arm", "free", "--data", folder / "data.npz"),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(folder / "data.npz") in refused(done, 3, output)

    @settings(fuzz, max_examples=25)
    @given(data=st.data())
    def test_records_of_chains_cut_off_anywhere(
        self, here, place, tmp_path_factory, monkeypatch, data
    ):
        # TensorFlow's threads are chosen once in a process.
        monkeypatch.setattr(host, "use_host", lambda *_: "CPU")
        folder = tmp_path_factory.mktemp("fuzzed")
        self.cut(data, place / "records.npz", folder / "records.npz")
        output = folder / "new" / "chains"
        done = here(
            *("holography", "chains", "--name", "line", "--weights", place / "flow"),
            *("--before", folder / "records.npz"),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(folder / "records.npz") in refused(done, 3, output)

    def test_a_damaged_manifest_of_samples(self, here, place, tmp_path):
        """Arrays, times and the record of both; or none of them."""
        shutil.copytree(place / "shipped", tmp_path / "shipped")
        manifest, output = tmp_path / "shipped/manifest.json", tmp_path / "new"
        whole, statuses = manifest.read_bytes(), []

        @settings(fuzz, max_examples=60)
        @given(data=st.data(), damage=st.sampled_from(DAMAGES[".json"]))
        def one(data, damage):
            shutil.rmtree(output, ignore_errors=True)
            manifest.write_bytes(damage(data, whole))
            done = here(
                *("holography", "chains", "--name", "line", "--weights", place / "flow"),
                *("--sampled", manifest.parent),
                *("--settings", place / "settings.yaml", "--output", output / "line"),
            )
            statuses.append(done.returncode)
            if done.returncode:
                refused(done, 3, output / "line")
            else:
                names = {"arrays.npz", "timing.json"}
                records = {"arrays.provenance.json", "timing.provenance.json"}
                assert files_of(output / "line") == names | records

        one()
        assert statuses.count(3) >= 20
        assert 0 in statuses
