"""The command line: it reads well, starts fast, and ends as it should."""

import re
import sys

import pytest
import yaml
from command_line import COMMANDS, STAGES, run

from emergence import __version__, cli, errors


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
            *("reference", "plane", "flow", "rates", "ship", "chains", "ship-chains", "bulk"),
            *("analysis", "figure"),
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

    def test_a_stage_without_a_network_imports_no_tensorflow(self, build_settings, tmp_path):
        settings = tmp_path / "settings.yaml"
        settings.write_text(yaml.safe_dump(build_settings()))
        common = ("--settings", settings, "--output", tmp_path / "result.npz")
        for stage in (("data", "--dataset", "waves"), ("spectral",)):
            imported = self.imported("introspection", *stage, *common)
            assert "numpy" in imported
            assert not {"tensorflow", "keras", "matplotlib"} & imported


class TestMain:
    """In this process: how main() ends for each kind of failure."""

    def ended(self, monkeypatch, error):
        def fail(*_):
            raise error

        monkeypatch.setattr("emergence.settings.load", fail)
        monkeypatch.setattr("os._exit", sys.exit)  # an interrupted stage does not tidy up
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
