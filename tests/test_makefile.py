"""The Makefile: its index is complete, its refusals are sentences, a second call costs nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="There is no make on this machine.")

TARGETS = set(re.findall(r"(?m)^\.PHONY: (\S+)", (ROOT / "Makefile").read_text())) - {"check-scale"}


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of what the environment is made from, in a folder whose name has a space."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    for setting in (
        "TRAINED",
        "BUDGET",
        "SEED",
        "FAST",
        "SAMPLED",
        "SCALE",
        "CORES",
        "LOCK",
        "VENV",
        "PYTHON",
        "ARGS",
    ):
        environment.pop(setting, None)
    return subprocess.run(
        [MAKE, *arguments],
        cwd=folder,
        env=environment | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def installed(project) -> Path:
    """The project with an environment that looks complete."""
    program(project / ".venv/bin/python", 'echo "python $*" >> calls')
    program(project / ".venv/bin/snakemake", 'echo "snakemake $* at $SCALE" >> calls')
    program(project / ".venv/bin/emergence", 'echo "emergence $* at $SCALE" >> calls')
    (project / ".venv/.installed-requirements.lock").touch()
    return project


class TestIndex:
    def test_help_is_the_default_and_lists_every_target(self, project):
        answer = make(project)
        assert answer.returncode == 0
        assert answer.stdout == make(project, "help").stdout
        listed = re.findall(r"(?m)^  (\S+) +(\S.*)", answer.stdout)
        assert {name for name, _ in listed} == TARGETS
        assert all(text.endswith(".") for _, text in listed)

    def test_names_the_two_commands_of_the_readme(self):
        assert {"reproduce", "test"} <= TARGETS


class TestScale:
    @pytest.mark.parametrize("target", ["reproduce", "verify", "bench", "figures-clean"])
    def test_unknown_scale_is_refused_before_any_work(self, installed, target):
        (installed / "figures").mkdir()
        answer = make(installed, target, "SCALE=huge")
        assert answer.returncode == 2
        assert answer.stderr.startswith("emergence: SCALE is 'huge' but must be smoke, laptop or p")
        assert not (installed / "calls").exists()
        assert (installed / "figures").exists()

    @pytest.mark.parametrize(("given", "seen"), [((), "laptop"), (("SCALE=smoke",), "smoke")])
    def test_reaches_snakemake(self, installed, given, seen):
        assert make(installed, "reproduce", *given).returncode == 0
        assert (installed / "calls").read_text() == f"snakemake --cores all at {seen}\n"

    def test_only_its_own_figures_are_deleted(self, installed):
        for scale in ("smoke", "laptop"):
            (installed / "figures" / scale / "holography").mkdir(parents=True)
        assert make(installed, "figures-clean", "SCALE=smoke").returncode == 0
        assert os.listdir(installed / "figures") == ["laptop"]

    def test_what_decides_claims_stays(self, installed):
        (installed / "figures/laptop/holography").mkdir(parents=True)
        (installed / "figures/laptop/drift.csv").touch()
        assert make(installed, "figures-clean", "SCALE=laptop").returncode == 0
        assert os.listdir(installed / "figures/laptop") == ["drift.csv"]


class TestVerify:
    """What `make verify` compares: a run where there is one, else the weights that are shipped."""

    def calls(self, installed):
        return (installed / "calls").read_text().splitlines()

    @pytest.fixture
    def shipped(self, installed):
        (installed / "weights/laptop").mkdir(parents=True)
        (installed / "weights/laptop/manifest.json").touch()
        (installed / "results/verify").mkdir(parents=True)
        (installed / "results/verify/targets.txt").write_text("a b\n")
        return installed

    EVALUATED: ClassVar = [
        "emergence plan --trained weights/laptop --scale laptop at laptop",
        "snakemake --cores all --config settings=results/verify/settings.yaml "
        "trained=weights/laptop -- a b at laptop",
        "emergence agreement --scale verify --trained weights/laptop at laptop",
        "emergence verify --scale verify --judged-as laptop --plan results/verify/plan.json "
        "at laptop",
        "emergence report --scale verify --figures-of laptop at laptop",
    ]

    def test_without_results_evaluates_what_is_shipped(self, shipped):
        assert make(shipped, "verify").returncode == 0
        assert self.calls(shipped) == self.EVALUATED

    def test_of_a_run_compares_the_run(self, shipped):
        (shipped / "results/laptop/retraining").mkdir(parents=True)
        (shipped / "results/laptop/retraining/measurements.json").touch()
        assert make(shipped, "verify").returncode == 0
        assert self.calls(shipped) == ["emergence verify --scale laptop at laptop"]

    def test_evaluates_weights_that_are_named_beside_a_run(self, shipped):
        (shipped / "results/laptop/retraining").mkdir(parents=True)
        (shipped / "results/laptop/retraining/measurements.json").touch()
        assert make(shipped, "verify", "TRAINED=weights/laptop").returncode == 0
        assert self.calls(shipped) == self.EVALUATED

    @pytest.mark.parametrize("named", [[], ["TRAINED=weights/laptop"]])
    def test_shipped_weights_are_evaluated_within_a_budget(self, shipped, named):
        assert make(shipped, "verify", *named, "BUDGET=10m").returncode == 0
        assert self.calls(shipped) == [
            self.EVALUATED[0].replace(" at", " --budget 10m at"),
            *self.EVALUATED[1:],
        ]

    @pytest.mark.parametrize("told", ["results", "TRAINED="])
    def test_a_budget_trains_beside_a_run_and_where_no_weights_are_wanted(self, shipped, told):
        if told == "results":
            (shipped / "results/laptop/retraining").mkdir(parents=True)
            (shipped / "results/laptop/retraining/measurements.json").touch()
        (shipped / "results/budget").mkdir(parents=True)
        (shipped / "results/budget/targets.txt").write_text("a\n")
        more = [told] if told == "TRAINED=" else []
        assert make(shipped, "verify", *more, "BUDGET=10m").returncode == 0
        assert self.calls(shipped) == [
            "emergence plan --budget 10m --scale laptop at laptop",
            "snakemake --cores all --config settings=results/budget/settings.yaml -- a at laptop",
            "emergence verify --scale budget --judged-as laptop --plan results/budget/plan.json "
            "at laptop",
        ]

    def test_with_neither_leaves_the_sentence_to_the_program(self, installed):
        assert make(installed, "verify").returncode == 0
        assert self.calls(installed) == ["emergence verify --scale laptop at laptop"]


class TestAudit:
    @pytest.mark.parametrize("given", [(), ("SEED=",), ("SEED=mine",), ("SEED=-1",)])
    def test_asks_for_a_seed(self, installed, given):
        answer = make(installed, "audit", *given)
        assert answer.returncode == 2
        assert "must be a whole number of your own, as in 'make audit SEED=7'" in answer.stderr
        assert not (installed / "calls").exists()

    def test_plans_runs_and_judges(self, installed):
        (installed / "results/audit-7").mkdir(parents=True)
        (installed / "results/audit-7/targets.txt").write_text("a\n")
        assert make(installed, "audit", "SEED=7", "BUDGET=30m").returncode == 0
        assert (installed / "calls").read_text().splitlines() == [
            "emergence audit plan --seed 7 --scale laptop --jobs 3 --budget 30m at laptop",
            "snakemake --cores all --config settings=results/audit-7/settings.yaml -- a at laptop",
            "emergence audit judge --seed 7 --scale laptop at laptop",
        ]


class TestDrift:
    @pytest.fixture
    def planned(self, installed):
        (installed / "results/drift").mkdir(parents=True)
        (installed / "results/drift/runs.txt").write_text("verify trained=w into=verify\nseed-1 \n")
        for name in ("verify", "seed-1"):
            (installed / "results" / name).mkdir()
            (installed / "results" / name / "targets.txt").write_text(f"{name}.json\n")
        return installed

    def test_makes_every_run_of_the_plan_and_measures(self, planned):
        assert make(planned, "drift", "FAST=1").returncode == 0
        start = "snakemake --cores all --config settings=results"
        assert (planned / "calls").read_text().splitlines() == [
            "emergence drift plan --scale laptop --trained weights/laptop --fast at laptop",
            f"{start}/verify/settings.yaml trained=w into=verify -- verify.json at laptop",
            f"{start}/seed-1/settings.yaml -- seed-1.json at laptop",
            "emergence drift measure --scale laptop --trained weights/laptop at laptop",
        ]

    def test_of_chains_and_bulks_alone(self, planned):
        assert make(planned, "drift", "SAMPLED=1").returncode == 0
        first = (planned / "calls").read_text().splitlines()[0]
        assert first.endswith(
            "drift plan --scale laptop --trained weights/laptop --sampled at laptop"
        )

    def test_stops_at_a_run_that_fails(self, planned):
        program(planned / ".venv/bin/snakemake", "echo failed >> calls; exit 1")
        assert make(planned, "drift").returncode == 2
        assert (planned / "calls").read_text().count("failed") == 1
        assert "measure" not in (planned / "calls").read_text()


class TestEnvironment:
    def test_second_call_costs_nothing(self, installed):
        assert make(installed, "env").returncode == 0
        assert not (installed / "calls").exists()

    @pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
    def test_is_brought_up_to_a_changed_file(self, installed, changed):
        stamp = installed / ".venv/.installed-requirements.lock"
        later = stamp.stat().st_mtime + 10
        os.utime(installed / changed, (later, later))
        assert make(installed, "env").returncode == 0
        usable, lock, package = (installed / "calls").read_text().splitlines()
        assert usable.startswith("python -c import pip")
        assert lock.endswith("--require-hashes -r requirements.lock")
        assert package.endswith("--no-deps --no-build-isolation -e .")

    def test_failed_install_leaves_no_stamp(self, installed):
        stamp = installed / ".venv/.installed-requirements.lock"
        stamp.unlink()
        program(installed / ".venv/bin/python", '[ "$1" = -c ]')
        assert make(installed, "env").returncode == 2
        assert not stamp.exists()

    def test_broken_environment_is_made_anew(self, installed):
        """A venv whose Python is gone is replaced with the first Python that fits."""
        (installed / ".venv/.installed-requirements.lock").unlink()
        program(installed / ".venv/bin/python", "exit 1")
        new = "printf '#!/bin/sh\\necho anew >> calls\\n' > .venv/bin/python"
        python = program(
            installed / "python3.12",
            f'case "$1" in -m) echo "$*" >> calls; {new};; --version) echo Python 3.12;; esac',
        )
        answer = make(installed, "env", f"PYTHON=./{python.name}")
        assert answer.returncode == 0, answer.stderr
        assert "Making the environment .venv with Python 3.12." in answer.stdout
        calls = (installed / "calls").read_text().splitlines()
        assert calls == ["-m venv --clear .venv", "anew", "anew"]

    @pytest.fixture
    def only(self, project):
        """Return a PATH with the shell's tools and one Python of the given version, if any."""

        def only(version: tuple[int, int] | None) -> str:
            tools = project / "tools"
            tools.mkdir()
            for name in ("sh", "awk", "touch"):
                (tools / name).symlink_to(shutil.which(name))
            if version:
                # Runs the real check, with the version of another Python.
                before = f"import sys; sys.version_info = (*{version}, 0)"
                program(tools / "python3", f"exec '{sys.executable}' -c '{before}\n'\"$2\"")
            return str(tools)

        return only

    @pytest.mark.parametrize("version", [None, (3, 10), (3, 14)])
    def test_without_a_supported_python_one_sentence_says_so(self, project, only, version):
        answer = make(project, "env", path=only(version))
        assert answer.returncode == 2
        sentence, *rest = answer.stderr.splitlines()
        assert sentence.startswith("emergence: No Python 3.11, 3.12 or 3.13 with its venv module")
        assert "apt install python3 python3-venv" in sentence
        assert len(rest) == 1, "Only make's own line follows."
        assert not (project / ".venv").exists()

    @pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
    def test_a_supported_python_is_taken(self, project, only, version):
        answer = make(project, "env", path=only(version))
        assert "Making the environment" in answer.stdout
        assert "No Python" not in answer.stderr

    def test_lock_without_uv_says_what_to_install(self, project, only):
        answer = make(project, "lock", path=only(None))
        assert answer.returncode == 2
        assert "needs uv; install it with" in answer.stderr
