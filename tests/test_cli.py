"""The command line: it reads well, starts fast, and every refusal is one sentence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from mappings import changed

from emergence import __version__, artifacts, cli, errors

ROOT = Path(__file__).parents[1]


def run(*arguments, python=(), **environment) -> subprocess.CompletedProcess:
    """`emergence` with these arguments, in a process of its own."""
    return subprocess.run(
        [sys.executable, *python, "-m", "emergence.cli", *map(str, arguments)],
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "80", "NO_COLOR": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def commands(group=None, path=()):
    """(path, command) of every command, groups included."""
    group = group or typer.main.get_command(cli.app)
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


COMMANDS = dict(commands())
SYSTEMS = ("introspection", "holography", "retraining")
STAGES = [path for path in COMMANDS if len(path) == 2 and path[0] in SYSTEMS]


@pytest.fixture(scope="module")
def place(tmp_path_factory, build_settings):
    """A folder with tiny settings, their dataset, and results that are damaged in every way."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "settings.yaml").write_text(yaml.safe_dump(build_settings()))
    done = run(
        *("introspection", "data", "--dataset", "waves"),
        *("--settings", folder / "settings.yaml", "--output", folder / "waves.npz"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    whole = (folder / "waves.npz").read_bytes()
    (folder / "half.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "shorter.npz").write_bytes(whole[:-1])
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("not an archive\n")
    artifacts.write_arrays(folder / "other.npz", {"something": np.arange(3)})
    (folder / "tables").mkdir()
    (folder / "tables" / "law.csv").write_text("seed,potential\n0,0.")
    (folder / "none").mkdir()
    return folder


class TestHelp:
    @pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "emergence")
    def test_every_command_and_option_is_told_in_a_sentence(self, path):
        command = COMMANDS[path]
        assert command.help.endswith(".")
        assert "\n" not in command.help, "One sentence fits the list of commands."
        for option in command.params:
            assert option.help, f"{' '.join(path)} {option.opts[0]}"

    @pytest.mark.parametrize("path", [(), ("introspection",), ("introspection", "distiller")])
    def test_lists_all_there_is_within_80_columns(self, path):
        done = run(*path, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert max(map(len, done.stdout.splitlines())) <= 80
        text = " ".join(re.sub("[│╭╰╮╯─]", " ", done.stdout).split())
        command = COMMANDS[path]
        assert " ".join(command.help.split()) in text
        for name, below in getattr(command, "commands", {}).items():
            assert f"{name} {below.help}" in text
        for option in command.params:
            assert option.opts[0] in text

    def test_the_systems_stages_are_there_in_the_order_of_the_house(self):
        assert [path[1] for path in STAGES] == [
            *("data", "translator", "distiller", "spectral", "analysis", "figure"),
            *("reference", "plane", "flow", "ship", "chains", "bulk", "analysis", "figure"),
            *("grow", "ship", "analysis", "figure"),
        ]

    def test_alone_shows_the_help(self):
        done = run()
        assert (done.stdout + done.stderr).strip() == run("--help").stdout.strip()

    def test_version(self):
        done = run("--version")
        assert (done.returncode, done.stdout) == (0, f"emergence {__version__}\n")

    @pytest.mark.parametrize("arguments", [["nonsense"], ["introspection", "data", "--nonsense"]])
    def test_what_does_not_exist_is_refused(self, arguments):
        done = run(*arguments)
        assert done.returncode == 2
        assert "nonsense" in done.stderr
        assert "Traceback" not in done.stderr


class TestStart:
    def imported(self, *arguments):
        """Top packages that a process imports while it does something."""
        done = run(*arguments, python=["-X", "importtime"])
        assert done.returncode == 0, done.stderr[-500:]
        return {name.strip().split(".")[0] for name in re.findall(r"\| +(\S+)\n", done.stderr)}

    def test_importing_the_command_line_imports_nothing_heavy(self):
        heavy = {"tensorflow", "matplotlib", "seaborn", "pandas", "scipy", "numpy"}
        assert "typer" in self.imported("--version")
        assert not heavy & self.imported("--version")

    def test_a_stage_without_a_network_imports_no_tensorflow(self, place, tmp_path):
        common = ("--settings", place / "settings.yaml", "--output", tmp_path / "result.npz")
        for stage in (("data", "--dataset", "waves"), ("spectral",)):
            imported = self.imported("introspection", *stage, *common)
            assert "numpy" in imported
            assert not {"tensorflow", "keras", "matplotlib"} & imported


def refused(done, status, output=None):
    """The one sentence of a refusal that left nothing at ``output`` nor beside it."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert re.fullmatch(r"emergence: .+\.\n", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    if output is not None:
        assert not output.exists()
        assert not output.parent.exists() or not list(output.parent.iterdir())
    return done.stderr


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "new" / "result"


class TestNames:
    @pytest.mark.parametrize(
        ("stage", "option", "known"),
        [
            ("data", "--dataset", "waves"),
            ("translator", "--arm", "free"),
            ("distiller", "--arm", "born"),
            ("figure", "--name", "bottleneck"),
        ],
    )
    def test_an_unknown_one_is_told_with_those_there_are(self, place, output, stage, option, known):
        more = {
            "translator": ("--data", place / "waves.npz"),
            "distiller": ("--data", place / "waves.npz", "--translator", place / "waves.npz"),
            "figure": ("--tables", place / "tables"),
        }
        done = run(
            *("introspection", stage, option, "nope"),
            *("--settings", place / "settings.yaml", "--output", output, *more.get(stage, ())),
        )
        sentence = refused(done, 2, output)
        assert "'nope'" in sentence
        assert known in sentence


class TestSettings:
    @pytest.mark.parametrize(
        ("path", "value", "told"),
        [
            (("introspection", "colour"), "red", r"introspection\.colour is unknown"),
            (("introspection", "seeds"), "many", r"introspection\.seeds has the value 'many'"),
            (("introspection", "seeds"), 0, r"introspection\.seeds has the value 0, but .* 1"),
            (("introspection", "spacing"), 2.0, r"introspection\.spacing has the value 2\.0"),
            (("seed",), None, r"the key seed has the value None"),
        ],
        ids=["unknown", "type", "too small", "too large", "none"],
    )
    def test_a_fault_is_told_before_any_work(
        self, build_settings, tmp_path, output, path, value, told
    ):
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(changed(build_settings(), path, value)))
        done = run(
            *("introspection", "data", "--dataset", "waves"),
            *("--settings", file, "--output", output),
        )
        sentence = refused(done, 2, output)
        assert str(file) in sentence
        assert re.search(told, sentence), sentence

    @pytest.mark.parametrize("content", [None, "seed: [", "- a list\n", ""])
    def test_no_settings_at_all(self, tmp_path, output, content):
        file = tmp_path / "mine.yaml"
        if content is not None:
            file.write_text(content)
        done = run("introspection", "spectral", "--settings", file, "--output", output)
        assert str(file) in refused(done, 2, output)

    @pytest.mark.parametrize("stage", STAGES, ids=" ".join)
    def test_every_stage_reads_them_first(self, place, output, stage):
        """Before the inputs: all of these are missing."""
        figure = {
            "introspection": "bottleneck",
            "holography": "likelihood",
            "retraining": "energy_error",
        }[stage[0]]
        given = {"name": figure, "size": "4"}
        options = [
            (option.opts[0], given.get(option.name, place / "none" / "missing"))
            for option in COMMANDS[stage].params
            if option.required and option.name not in ("settings", "output")
        ]
        arguments = [part for option in options for part in option]
        missing = place / "none" / "settings.yaml"
        done = run(*stage, *arguments, "--settings", missing, "--output", output)
        assert str(missing) in refused(done, 2, output)


class TestInputs:
    """Only what cannot be read is at fault here; a missing name or key is told before."""

    DAMAGED = ("missing", "half", "shorter", "empty", "text", "other")

    @pytest.mark.parametrize("name", DAMAGED)
    def test_of_a_translator(self, place, output, name):
        data = place / f"{name}.npz"
        done = run(
            *("introspection", "translator", "--arm", "free", "--data", data),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(data) in refused(done, 3, output)

    # A whole archive, but of a dataset: it has no trained translator.
    @pytest.mark.parametrize("name", ["missing", "half", "other", "waves"])
    def test_of_a_distiller(self, place, output, name):
        translator = place / f"{name}.npz"
        done = run(
            *("introspection", "distiller", "--arm", "born", "--data", place / "waves.npz"),
            *("--translator", translator, "--settings", place / "settings.yaml"),
            *("--output", output),
        )
        assert str(translator) in refused(done, 3, output)

    def test_of_the_analysis(self, place, output):
        done = run(
            *("introspection", "analysis", "--results", place / "none"),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(place / "none") in refused(done, 3, output)

    @pytest.mark.parametrize(
        ("name", "table"), [("bottleneck", "bottleneck.csv"), ("law", "law.csv")]
    )
    def test_of_a_figure(self, place, output, name, table):
        """The one table is missing, the other cut short."""
        done = run(
            *("introspection", "figure", "--name", name, "--tables", place / "tables"),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(place / "tables" / table) in refused(done, 3, output)

    @pytest.mark.parametrize(
        ("scale", "ledgers", "status", "told"),
        [
            ("smoke", ROOT / "claims", 6, "measurements.json is missing"),
            ("smoke", "nowhere", 6, "nowhere"),
            ("huge", ROOT / "claims", 2, "'huge'"),
        ],
    )
    def test_of_the_verdicts(self, place, output, scale, ledgers, status, told):
        done = run(
            *("verify", "--scale", scale, "--ledgers", place / ledgers),
            *("--results", output.parent, "--figures", output.parent),
        )
        assert told in refused(done, status, output)

    def test_that_are_in_the_way(self, place):
        """The output's folder is a file."""
        done = run(
            *("introspection", "data", "--dataset", "waves"),
            *("--settings", place / "settings.yaml", "--output", place / "text.npz" / "waves.npz"),
        )
        assert str(place / "text.npz") in refused(done, 3)


class TestMain:
    """In this process: how main() ends for each kind of failure."""

    def ended(self, monkeypatch, error):
        def fail(*_):
            raise error

        monkeypatch.setattr("emergence.settings.load", fail)
        arguments = ["introspection", "spectral", "--settings", "x", "--output", "y"]
        monkeypatch.setattr(sys, "argv", ["emergence", *arguments])
        with pytest.raises(BaseException) as caught:
            cli.main()
        return caught.value

    @pytest.mark.parametrize("kind", errors.EmergenceError.__subclasses__())
    def test_an_expected_failure_has_its_own_status(self, monkeypatch, capsys, kind):
        ended = self.ended(monkeypatch, kind("This\nis wrong.", "Do that."))
        assert isinstance(ended, SystemExit)
        assert ended.code == kind.exit_status
        assert capsys.readouterr().err == "emergence: This is wrong. Do that.\n"

    def test_no_two_kinds_share_a_status(self):
        statuses = [kind.exit_status for kind in errors.EmergenceError.__subclasses__()]
        assert len({0, 1, *statuses}) == len(statuses) + 2

    def test_a_bug_keeps_its_traceback(self, monkeypatch):
        bug = ZeroDivisionError("a bug")
        assert self.ended(monkeypatch, bug) is bug

    def test_ctrl_c_says_that_a_rerun_continues(self, monkeypatch, capsys):
        ended = self.ended(monkeypatch, KeyboardInterrupt())
        assert isinstance(ended, SystemExit)
        assert ended.code == 130
        assert re.fullmatch(r"emergence: Interrupted.*\.\n", capsys.readouterr().err)
