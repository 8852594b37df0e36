"""The workflow, read but not run: it fits its settings, the command line and the linters."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from emergence import cli
from emergence.holography.figures import FIGURES as HOLOGRAPHY_FIGURES
from emergence.introspection.figures import FIGURES as INTROSPECTION_FIGURES
from emergence.retraining.figures import FIGURES as RETRAINING_FIGURES
from emergence.settings import load
from emergence.verification.claims import SCALES
from emergence.verification.sabotage import CASES

ROOT = Path(__file__).parents[2]
# One more file tells how the shipped weights were trained; it is no scale.
CONFIGS = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.stem != "shipped")
FILES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").glob("*.smk"))]
FIGURES = {
    "introspection": INTROSPECTION_FIGURES,
    "holography": HOLOGRAPHY_FIGURES,
    "retraining": RETRAINING_FIGURES,
}
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def clean(tmp_path_factory, new_tree) -> Path:
    """A fresh clone: nothing was ever run there."""
    return new_tree(tmp_path_factory.mktemp("clean"))


class TestPlan:
    @pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
    def test_of_each_scale_has_every_arm_and_figure_once(self, clean, planned, config):
        settings = load(config)
        chosen, flows, chains = (
            settings.introspection, settings.holography, settings.retraining.chains
        )  # fmt: skip
        assert planned(clean, scale=config.stem) == sorted(
            [
                *(f"data {name}" for name in chosen.datasets),
                *(f"translator {name}" for name in chosen.translators),
                *(f"distiller {name}" for name in chosen.distillers),
                *(f"figure {name}" for name in FIGURES["introspection"]),
                *("analysis", "spectral", "report", "verify"),
                *("holography reference" for _ in flows.diagram.sides),
                *(["holography plane"] if flows.plane else []),
                *(
                    f"holography flow {name}"
                    for name, arm in flows.flows.items()
                    for _ in arm.sizes
                ),
                *(f"holography chains {name}" for name in flows.chains),
                *(f"holography bulk {name}" for name in flows.bulks),
                *(f"holography figure {name}" for name in FIGURES["holography"]),
                "holography analysis",
                *(f"retraining grow {name}" for name, arm in chains.items() for _ in arm.sizes),
                *(f"retraining figure {name}" for name in FIGURES["retraining"]),
                "retraining analysis",
            ]
        )

    def test_there_is_one_for_each_scale_of_the_ledger(self):
        assert {path.stem for path in CONFIGS} == set(SCALES)

    def test_names_its_scale_in_the_settings(self):
        """So that results of different scales never overwrite each other."""
        assert [load(path).scale for path in CONFIGS] == [path.stem for path in CONFIGS]

    def test_leaves_nothing_behind(self, clean, snakemake):
        """Files written while planning would make every plan different from the last."""
        assert snakemake(clean, "-n").returncode == 0
        made = {path.name for path in clean.iterdir()} - {"src", "tests", ".git", ".snakemake"}
        assert made <= {path.name for path in ROOT.iterdir()}
        assert not (clean / "results").exists()

    def test_from_another_folder_writes_there(self, clean, snakemake, tmp_path):
        """As in the container, whose code lies apart from the mounted results."""
        done = snakemake(tmp_path, "-n", "-p", "-s", str(clean / "Snakefile"))
        assert done.returncode == 0, done.stdout
        outputs = re.findall(r"--output (\S+)", done.stdout)
        assert outputs
        assert all(re.match("(results|figures)/smoke/", output) for output in outputs)


class TestRefusals:
    def refused(self, done):
        """The sentence, which stands alone but for Snakemake's naming of its profile."""
        assert done.returncode == 2, done.stdout
        lines = [
            line for line in done.stdout.splitlines() if "workflow specific profile" not in line
        ]
        (sentence,) = lines
        assert re.fullmatch(r"emergence: .+\.", sentence)
        return sentence

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"colour": "red"}, "colour is unknown"),
            ({"threads": "two"}, "threads has the value 'two'"),
            ({"threads": 0}, "threads has the value 0"),
            ({"introspection": {}}, "introspection.extrapolation is missing"),
        ],
        ids=["unknown", "type", "bounds", "missing"],
    )
    def test_bad_settings_end_before_any_work(self, clean, snakemake, tmp_path, change, told):
        content = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | change
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(content))
        sentence = self.refused(snakemake(clean, "--config", f"settings={file}"))
        assert str(file) in sentence
        assert told in sentence
        assert not (clean / "results").exists()

    def test_a_file_that_is_not_there(self, clean, snakemake, tmp_path):
        missing = tmp_path / "missing.yaml"
        assert str(missing) in self.refused(snakemake(clean, "--config", f"settings={missing}"))

    def test_a_scale_that_is_not_there(self, clean, snakemake):
        assert "config/huge.yaml" in self.refused(snakemake(clean, scale="huge"))


class TestAgreement:
    """Rule names, subcommands and figures are one list each."""

    TEXT = "\n".join(path.read_text() for path in FILES)
    RULES = re.findall(r"(?m)^rule (\w+):", TEXT)
    COMMANDS = typer.main.get_command(cli.app).commands

    def test_rules_that_run_something_are_the_stages_of_the_command_line(self):
        groups = [*FIGURES, "sabotage"]
        stages = {f"{s}_{name}" for s in groups for name in self.COMMANDS[s].commands}
        # Typed by hand: when weights are to be shipped, or a rate is to be found.
        stages -= {"holography_ship", "holography_ship-chains", "retraining_ship"}
        stages -= {"holography_rates"}
        targets = {"all", "sabotage", *(f"{system}_figures" for system in FIGURES)}
        assert set(self.RULES) - targets == stages | {"crate", "report", "verify"}

    def test_each_calls_the_stage_it_is_named_after_with_options_that_exist(self):
        bodies = re.split(r"(?m)^rule (\w+):", self.TEXT)[1:]
        for name, body in zip(bodies[::2], bodies[1::2], strict=True):
            shell = body.partition("shell:")[2]
            if not shell:
                continue
            (call,) = re.findall(r'"emergence ((?:[a-z]+ ?)+?)(?= --|")', shell)
            assert call.strip().replace(" ", "_") == name
            command = typer.main.get_command(cli.app)
            for part in call.split():
                command = command.commands[part]
            known = {option for param in command.params for option in param.opts}
            used = set(re.findall(r"--[a-z-]+", shell))
            assert used <= known, name
            required = {param.opts[0] for param in command.params if param.required}
            assert required <= used, name

    @pytest.mark.parametrize("system", FIGURES)
    def test_figures_are_those_that_can_be_drawn(self, system):
        """Read, not run: the list is a literal."""
        literal = re.search(rf"(?s){system.upper()}_FIGURES = \[(.*?)\]", self.TEXT).group(1)
        assert sorted(re.findall(r'"(\w+)"', literal)) == sorted(FIGURES[system])

    def test_every_rule_that_runs_something_says_where_it_logs_and_what_it_takes(self):
        bodies = re.split(r"(?m)^rule (\w+):", self.TEXT)[1:]
        for name, body in zip(bodies[::2], bodies[1::2], strict=True):
            if "shell:" in body:
                for word in ("log:", "benchmark:", "threads:", "resources:", "message:"):
                    assert f"    {word}" in body, f"{name} lacks {word}"
                assert "{log}" in body.partition("shell:")[2], name

    @pytest.mark.parametrize("system", FIGURES)
    def test_figures_of_the_ledger_exist(self, system):
        ledger = yaml.safe_load((ROOT / f"claims/{system}.yaml").read_text())
        named = {claim["figure"] for claim in ledger["claims"] if claim.get("figure")}
        assert named
        assert named <= {f"{system}/{name}" for name in FIGURES[system]}


class TestStyle:
    def tool(self, *command):
        program = shutil.which(command[0], path=str(Path(sys.executable).parent))
        if program is None:
            pytest.skip(f"{command[0]} is not installed here; it is part of the lock.")
        done = subprocess.run(
            [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def test_snakemake_has_no_advice(self, clean, snakemake):
        done = snakemake(clean, "--lint")
        assert done.returncode == 0, done.stdout
        assert "Lints for" not in done.stdout

    def test_the_workflow_is_formatted(self):
        self.tool("snakefmt", "--check", "Snakefile", "workflow")

    def test_the_code_is_clean(self):
        self.tool("ruff", "check", ".")

    def test_the_code_is_formatted(self):
        self.tool("ruff", "format", "--check", ".")


def test_sabotage_needs_no_run_where_weights_are_shipped(planned, new_tree, tmp_path):
    """The ledger's own controls are then those that the run of the weights measured."""
    tree = new_tree(tmp_path / "clone")
    stages = planned(tree, "sabotage", scale="laptop")
    assert [stage for stage in stages if not stage.startswith("sabotage")] == []
    assert len(stages) == len(CASES) + 1
    # After a run of one's own it is that which is judged.
    here = tree / "results/laptop/introspection/measurements.json"
    here.parent.mkdir(parents=True)
    here.write_text("{}")
    assert any(
        stage.startswith("holography flow") for stage in planned(tree, "sabotage", scale="laptop")
    )


def test_sabotage_runs_again_after_a_change_of_the_code(planned, snakemake, new_tree, tmp_path):
    """What was broken before is no control of what the code is now."""
    tree = new_tree(tmp_path / "clone")
    broken = "results/sabotage/delayed_potential.json"
    done = snakemake(tree, "--cores", "1", broken, scale="laptop")
    assert done.returncode == 0, done.stdout
    assert planned(tree, broken, scale="laptop") == []
    changed = tree / "src/emergence/holography/exact.py"
    changed.write_text(f"{changed.read_text()}\nCHANGED = True\n")
    assert planned(tree, broken, scale="laptop") == ["sabotage case delayed_potential"]
