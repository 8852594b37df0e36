"""Every refusal of the command line is one sentence, told before any work, and leaves nothing."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import COMMANDS, ROOT, STAGES, refused, run
from mappings import changed

from emergence import artifacts


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


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "new" / "result"


@pytest.mark.parametrize(
    "arguments",
    [
        ("introspection", "data", "--dataset", "nope", "--settings", "settings.yaml"),
        (
            "introspection",
            "translator",
            "--arm",
            "free",
            "--data",
            "half.npz",
            "--settings",
            "settings.yaml",
        ),
        ("verify", "--scale", "smoke", "--ledgers", "nowhere"),
    ],
    ids=["settings", "input", "ledger"],
)
def test_a_process_ends_and_says_what_main_does_here(place, here, monkeypatch, tmp_path, arguments):
    """Hence the refusals below are asked for here, which takes no start of Python."""
    output = [] if arguments[0] == "verify" else ["--output", tmp_path / "new" / "result"]
    monkeypatch.chdir(place)
    process, main = run(*arguments, *output), here(*arguments, *output)
    assert (process.returncode, process.stdout, process.stderr) == (
        main.returncode, main.stdout, main.stderr,
    )  # fmt: skip
    assert process.returncode in (2, 3, 6)


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
    def test_an_unknown_one_is_told_with_those_there_are(
        self, here, place, output, stage, option, known
    ):
        more = {
            "translator": ("--data", place / "waves.npz"),
            "distiller": ("--data", place / "waves.npz", "--translator", place / "waves.npz"),
            "figure": ("--tables", place / "tables"),
        }
        done = here(
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
        self, here, build_settings, tmp_path, output, path, value, told
    ):
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(changed(build_settings(), path, value)))
        done = here(
            *("introspection", "data", "--dataset", "waves"),
            *("--settings", file, "--output", output),
        )
        sentence = refused(done, 2, output)
        assert str(file) in sentence
        assert re.search(told, sentence), sentence

    @pytest.mark.parametrize("content", [None, "seed: [", "- a list\n", ""])
    def test_no_settings_at_all(self, here, tmp_path, output, content):
        file = tmp_path / "mine.yaml"
        if content is not None:
            file.write_text(content)
        done = here("introspection", "spectral", "--settings", file, "--output", output)
        assert str(file) in refused(done, 2, output)

    @pytest.mark.parametrize("stage", STAGES, ids=" ".join)
    def test_every_stage_reads_them_first(self, here, place, output, stage):
        """Before the inputs: all of these are missing."""
        figure = {
            "introspection": "bottleneck",
            "holography": "likelihood",
            "retraining": "energy_error",
        }[stage[0]]
        given = {"name": figure, "size": "4", "rates": "0.001"}
        options = [
            (option.opts[0], given.get(option.name, place / "none" / "missing"))
            for option in COMMANDS[stage].params
            if option.required and option.name not in ("settings", "output")
        ]
        arguments = [part for option in options for part in option]
        missing = place / "none" / "settings.yaml"
        done = here(*stage, *arguments, "--settings", missing, "--output", output)
        assert str(missing) in refused(done, 2, output)


class TestInputs:
    """Only what cannot be read is at fault here; a missing name or key is told before."""

    DAMAGED = ("missing", "half", "shorter", "empty", "text", "other")

    @pytest.mark.parametrize("name", DAMAGED)
    def test_of_a_translator(self, here, place, output, name):
        data = place / f"{name}.npz"
        done = here(
            *("introspection", "translator", "--arm", "free", "--data", data),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(data) in refused(done, 3, output)

    # A whole archive, but of a dataset: it has no trained translator.
    @pytest.mark.parametrize("name", ["missing", "half", "other", "waves"])
    def test_of_a_distiller(self, here, place, output, name):
        translator = place / f"{name}.npz"
        done = here(
            *("introspection", "distiller", "--arm", "born", "--data", place / "waves.npz"),
            *("--translator", translator, "--settings", place / "settings.yaml"),
            *("--output", output),
        )
        assert str(translator) in refused(done, 3, output)

    def test_of_the_analysis(self, here, place, output):
        done = here(
            *("introspection", "analysis", "--results", place / "none"),
            *("--settings", place / "settings.yaml", "--output", output),
        )
        assert str(place / "none") in refused(done, 3, output)

    @pytest.mark.parametrize(
        ("name", "table"), [("bottleneck", "bottleneck.csv"), ("law", "law.csv")]
    )
    def test_of_a_figure(self, here, place, output, name, table):
        """The one table is missing, the other cut short."""
        done = here(
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
    def test_of_the_verdicts(self, here, place, output, scale, ledgers, status, told):
        done = here(
            *("verify", "--scale", scale, "--ledgers", place / ledgers),
            *("--results", output.parent, "--figures", output.parent),
        )
        assert told in refused(done, status, output)

    def test_that_are_in_the_way(self, here, place):
        """The output's folder is a file."""
        done = here(
            *("introspection", "data", "--dataset", "waves"),
            *("--settings", place / "settings.yaml", "--output", place / "text.npz" / "waves.npz"),
        )
        assert str(place / "text.npz") in refused(done, 3)
