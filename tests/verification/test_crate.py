"""The crate: whole, of the profile it names, its hashes those of its files."""

import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from emergence.errors import ArtifactError, HostError
from emergence.verification.crate import PROFILES, write_crate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """The committed figures and verdicts as a finished run, and what packs them."""

    class Run:
        results, figures = tmp_path / "results", tmp_path / "figures"
        output = tmp_path / "crate.zip"

        def pack(self):
            settings = ROOT / "config/laptop.yaml"
            write_crate("laptop", ROOT, self.results, self.figures, settings, self.output)
            return zipfile.ZipFile(self.output)

    (tmp_path / "results/laptop").mkdir(parents=True)
    for name in ("verdict.json", "verdict.md"):
        shutil.copy(ROOT / "figures/laptop" / name, tmp_path / "results/laptop")
    shutil.copytree(
        ROOT / "figures/laptop/introspection", tmp_path / "figures/laptop/introspection"
    )
    return Run()


class TestCrate:
    @pytest.fixture
    def packed(self, run):
        pytest.importorskip("rocrate", reason="The environment is older than the lock.")
        return run.pack()

    @pytest.fixture
    def graph(self, packed):
        content = json.loads(packed.read("ro-crate-metadata.json"))
        return {entity["@id"]: entity for entity in content["@graph"]}

    def test_names_its_profiles_and_its_workflow(self, graph):
        root = graph["./"]
        assert set(PROFILES) <= {entry["@id"] for entry in root["conformsTo"]}
        specifications = graph["ro-crate-metadata.json"]["conformsTo"]
        specifications = specifications if isinstance(specifications, list) else [specifications]
        assert {"@id": "https://w3id.org/ro/crate/1.1"} in specifications
        workflow = graph[root["mainEntity"]["@id"]]
        assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= set(workflow["@type"])
        assert graph[workflow["programmingLanguage"]["@id"]]["name"].lower() == "snakemake"
        assert root["license"]
        assert root["datePublished"]

    def test_the_run_has_inputs_results_and_times(self, graph):
        run = graph["#run"]
        assert run["@type"] == "CreateAction"
        assert run["instrument"]["@id"] == graph["./"]["mainEntity"]["@id"]
        assert {"@id": "requirements.lock"} in run["object"]
        assert {"@id": "results/verdict.json"} in run["result"]
        assert run["startTime"] < run["endTime"]
        assert {"@id": "#run"} in graph["./"]["mentions"]

    def test_each_stage_names_its_command_and_what_it_wrote(self, graph):
        stages = [e for name, e in graph.items() if name.startswith("#stage-")]
        assert len(stages) == len(list((ROOT / "figures/laptop/introspection").glob("*.json")))
        for stage in stages:
            assert graph[stage["instrument"]["@id"]]["name"] == "emergence introspection figure"
            assert len(stage["result"]) == 3
            assert stage["startTime"] <= stage["endTime"]

    def test_every_reference_resolves(self, graph):
        def references(value):
            if isinstance(value, dict):
                yield from [value["@id"]] if set(value) == {"@id"} else []
                for part in value.values():
                    yield from references(part)
            elif isinstance(value, list):
                for part in value:
                    yield from references(part)

        for entity in graph.values():
            for name in references({key: v for key, v in entity.items() if key != "@id"}):
                assert name in graph or name.startswith("https://"), name

    def test_files_are_there_whole_and_no_others(self, packed, graph):
        files = {name for name, e in graph.items() if "File" in e["@type"]}
        assert files == set(packed.namelist()) - {"ro-crate-metadata.json"}
        for name in files - {"Snakefile"}:
            content = packed.read(name)
            assert hashlib.sha256(content).hexdigest() == graph[name]["sha256"], name
            assert int(graph[name]["contentSize"]) == len(content)

    def test_the_library_reads_it_back(self, packed, tmp_path):
        from rocrate.rocrate import ROCrate

        packed.extractall(tmp_path / "unpacked")
        crate = ROCrate(tmp_path / "unpacked")
        assert crate.mainEntity.id == "Snakefile"
        assert len(crate.data_entities) > 30

    def test_tells_no_path_of_this_machine(self, packed, tmp_path):
        text = packed.read("ro-crate-metadata.json").decode()
        assert str(ROOT) not in text
        assert str(tmp_path) not in text


class TestFaults:
    def test_without_verdicts_nothing_is_written(self, run):
        pytest.importorskip("rocrate", reason="The environment is older than the lock.")
        (run.results / "laptop/verdict.json").unlink()
        with pytest.raises(ArtifactError, match="Rerun snakemake"):
            run.pack()
        assert not run.output.exists()

    def test_a_provenance_without_a_time_is_told(self, run):
        pytest.importorskip("rocrate", reason="The environment is older than the lock.")
        record = run.figures / "laptop/introspection/law.provenance.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"created_utc": "noon"}))
        with pytest.raises(ArtifactError, match="'noon', which is no time"):
            run.pack()
        assert not run.output.exists()

    def test_without_the_library_it_says_how_to_get_it(self, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "rocrate", None)
        monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
        with pytest.raises(HostError, match="make env"):
            run.pack()
