"""The crate: of the whole run, of the profile it names, its hashes those of its files."""

import hashlib
import json
import shutil
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from finished_run import benchmarked, change, finish

from emergence.errors import ArtifactError, HostError
from emergence.verification.crate import PROFILES, write_crate

ROOT = Path(__file__).parents[2]


def listed(value):
    """RO-Crate writes a list of one as its value."""
    return value if isinstance(value, list) else [value]


class Run:
    """A finished run of the smoke scale, and what packs it."""

    def __init__(self, folder: Path):
        self.results, self.figures = folder / "results/smoke", folder / "figures/smoke"
        self.output = folder / "crate.zip"

    def pack(self):
        roots = self.results.parent, self.figures.parent
        write_crate("smoke", ROOT, *roots, ROOT / "config/smoke.yaml", self.output)
        return zipfile.ZipFile(self.output)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    pytest.importorskip("rocrate", reason="The environment is older than the lock.")
    folder = tmp_path_factory.mktemp("house")
    finish(folder)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy, to be changed."""
    for name in ("results", "figures"):
        shutil.copytree(finished / name, tmp_path / name)
    return Run(tmp_path)


@pytest.fixture(scope="module")
def packed(finished):
    return Run(finished).pack()


@pytest.fixture(scope="module")
def graph(packed):
    content = json.loads(packed.read("ro-crate-metadata.json"))
    return {entity["@id"]: entity for entity in content["@graph"]}


@pytest.fixture(scope="module")
def actions(graph):
    """Job → its action."""
    return {e["name"]: e for name, e in graph.items() if name.startswith("#job-")}


class TestCrate:
    def test_names_its_profiles_and_its_workflow(self, graph):
        root = graph["./"]
        assert set(PROFILES) <= {entry["@id"] for entry in root["conformsTo"]}
        specifications = listed(graph["ro-crate-metadata.json"]["conformsTo"])
        assert {"@id": "https://w3id.org/ro/crate/1.1"} in specifications
        workflow = graph[root["mainEntity"]["@id"]]
        assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= set(workflow["@type"])
        assert graph[workflow["programmingLanguage"]["@id"]]["name"].lower() == "snakemake"
        tools = {graph[part["@id"]]["name"] for part in workflow["hasPart"]}
        assert {"emergence holography flow", "emergence verify"} <= tools
        assert graph[root["license"]["@id"]]["name"] == "MIT License"
        assert root["datePublished"]

    def test_the_run_has_inputs_results_and_times(self, graph, actions):
        run = graph["#run"]
        assert run["@type"] == "CreateAction"
        assert run["instrument"]["@id"] == graph["./"]["mainEntity"]["@id"]
        read = {entry["@id"] for entry in run["object"]}
        assert {
            "requirements.lock", "settings/smoke.yaml", "src/emergence/", "workflow/needs.yaml",
            "workflow/figures.yaml", "claims/holography.yaml", "config/costs.csv",
        } <= read  # fmt: skip
        wrote = {entry["@id"] for entry in run["result"]}
        assert {"results/verdict.json", "#results/holography/flows/disc/2/weights"} <= wrote
        assert read.isdisjoint(wrote)
        assert {"@id": "#run"} in graph["./"]["mentions"]
        assert run["startTime"] == min(a["startTime"] for a in actions.values() if "startTime" in a)
        assert run["endTime"] == max(a["endTime"] for a in actions.values())

    def test_each_job_is_an_action(self, finished, graph, actions):
        jobs = benchmarked(finished / "results/smoke")
        assert len(jobs) > 50
        assert actions.keys() == jobs
        mentioned = {entry["@id"] for entry in graph["./"]["mentions"]}
        assert mentioned == {"#run"} | {action["@id"] for action in actions.values()}

    def test_an_action_names_its_command_and_its_times(self, graph, actions):
        for job, command in (
            ("introspection/spectral", "introspection spectral"),
            ("introspection/analysis", "introspection analysis"),
            ("introspection/figures/law", "introspection figure"),
            ("holography/flows/disc/2", "holography flow"),
            ("verify", "verify"),
        ):
            assert graph[actions[job]["instrument"]["@id"]]["name"] == f"emergence {command}"
        flow = actions["holography/flows/disc/2"]
        began, ended = (datetime.fromisoformat(flow[key]) for key in ("startTime", "endTime"))
        # Provenances are written to the second, 90 seconds after the stage began.
        assert abs(ended - began - timedelta(seconds=90)) < timedelta(seconds=5)

    def test_an_action_names_what_it_read_and_wrote(self, actions):
        law = {entry["@id"] for entry in listed(actions["introspection/figures/law"]["result"])}
        assert law == {f"figures/introspection/law.{suffix}" for suffix in ("csv", "png", "svg")}
        for action in actions.values():
            read = {entry["@id"] for entry in action["object"]}
            assert {"settings/smoke.yaml", "src/emergence/"} <= read
            assert action["result"]
        read = {entry["@id"] for entry in actions["introspection/analysis"]["object"]}
        assert "#results/introspection/spectral/arrays.npz" in read
        assert "results/introspection/tables/" in {
            entry["@id"] for entry in actions["introspection/figures/law"]["object"]
        }

    def test_what_is_not_packed_is_named_by_its_hash(self, finished, packed, graph):
        named = {name: e for name, e in graph.items() if name.startswith("#results/")}
        assert len(named) > 30
        for name, entity in named.items():
            file = finished / "results/smoke" / name.removeprefix("#results/")
            assert entity["@type"] == "CreativeWork"
            assert name[1:] not in packed.namelist()
            if file.is_file():
                content = file.read_bytes()
                assert entity["sha256"] == hashlib.sha256(content).hexdigest()
                assert int(entity["contentSize"]) == len(content)
            else:
                assert file.is_dir()
                assert len(entity["sha256"]) == 64

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
        files = {unquote(name): e for name, e in graph.items() if "File" in e["@type"]}
        assert files.keys() == set(packed.namelist()) - {"ro-crate-metadata.json"}
        for name in files:
            content = packed.read(name)
            assert hashlib.sha256(content).hexdigest() == files[name]["sha256"], name
            assert int(files[name]["contentSize"]) == len(content)

    def test_the_code_that_ran_is_there(self, packed):
        there = {name for name in packed.namelist() if name.startswith("src/")}
        code = {p.relative_to(ROOT).as_posix() for p in (ROOT / "src").rglob("*.py")}
        assert code | {"src/emergence/verification/page.html.jinja"} == there

    def test_the_library_reads_it_back(self, packed, tmp_path):
        from rocrate.rocrate import ROCrate

        packed.extractall(tmp_path / "unpacked")
        crate = ROCrate(tmp_path / "unpacked")
        assert crate.mainEntity.id == "Snakefile"
        assert len(crate.data_entities) > 300

    def test_tells_no_path_of_this_machine(self, packed, finished):
        text = packed.read("ro-crate-metadata.json").decode()
        assert str(ROOT) not in text
        assert str(finished) not in text


class TestShipped:
    def test_weights_and_records_that_jobs_go_on_from_are_packed(self, tmp_path):
        pytest.importorskip("rocrate", reason="The environment is older than the lock.")
        finish(tmp_path, "laptop")
        roots = tmp_path / "results", tmp_path / "figures"
        output = tmp_path / "crate.zip"
        write_crate("laptop", ROOT, *roots, ROOT / "config/laptop.yaml", output)
        with zipfile.ZipFile(output) as packed:
            names = set(packed.namelist())
            graph = json.loads(packed.read("ro-crate-metadata.json"))["@graph"]
        assert "weights/holography/line_32/weights.index" in names
        assert "weights/holography/chains/line_32.npz" in names
        given = next(e for e in graph if e["@id"] == "#run")["object"]
        assert {"@id": "weights/retraining/paper_chain/"} in given
        (flow,) = (e for e in graph if e.get("name") == "holography/flows/line_32/32")
        assert {"@id": "weights/holography/line_32/"} in flow["object"]


class TestFaults:
    def test_without_verdicts_nothing_is_written(self, run):
        (run.results / "verdict.json").unlink()
        with pytest.raises(ArtifactError, match="Rerun snakemake"):
            run.pack()
        assert not run.output.exists()

    def test_a_run_that_is_not_whole_is_not_packed(self, run):
        for record in (run.results / "holography/flows/disc/2").glob("*.provenance.json"):
            record.unlink()
        with pytest.raises(ArtifactError, match="the job holography/flows/disc/2 left no prov"):
            run.pack()
        assert not run.output.exists()

    def test_a_result_that_was_changed_is_told(self, run):
        (run.results / "introspection/spectral/arrays.npz").write_text("another")
        with pytest.raises(ArtifactError, match=r"arrays\.npz is not what its record names"):
            run.pack()
        assert not run.output.exists()

    def test_results_of_a_job_that_the_settings_no_longer_have_are_left_out(self, run):
        place = run.results / "holography/flows"
        shutil.copytree(place / "disc/2", place / "disused/2")
        graph = json.loads(run.pack().read("ro-crate-metadata.json"))["@graph"]
        assert not any("disused" in entity["@id"] for entity in graph)

    def test_a_provenance_without_a_time_is_told(self, run):
        change(run.figures / "introspection/law.provenance.json", created_utc="noon")
        with pytest.raises(ArtifactError, match="'noon', which is no time"):
            run.pack()
        assert not run.output.exists()

    def test_without_the_library_it_says_how_to_get_it(self, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "rocrate", None)
        monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
        with pytest.raises(HostError, match="make env"):
            run.pack()
