"""Values out of bounds and names that stand for nothing, told by key with what is allowed."""

import pytest
from mappings import changed
from refused_settings import BORN, FREE, INTROSPECTION, SOURCE, STAGE, WAVES, refusal

from emergence.settings import parse

MINIMAL_ARM = {"dataset": "waves", "hidden": [3], "stages": "short"}


class TestValues:
    @pytest.mark.parametrize(
        ("path", "value", "allowed"),
        [
            (("seed",), -1, "greater than or equal to 0"),
            (("seed",), 2**31, "less than 2147483648"),
            (("seed",), 0.5, "integer"),
            (("seed",), None, "integer"),
            (("seed",), "many", "integer"),
            (("seed",), [1], "integer"),
            (("threads",), 0, "greater than or equal to 1"),
            (("threads",), 257, "less than or equal to 256"),
            (("optimisation",), 4, "less than or equal to 3"),
            (("precision",), "float16", "'float32' or 'float64'"),
            (("scale",), "../laptop", "pattern"),
            (("scale",), False, "string"),
            (("checkpoint_seconds",), float("inf"), "finite"),
            (("checkpoint_seconds",), -0.1, "greater than or equal to 0"),
            ((*INTROSPECTION, "spacing"), 0, "greater than 0"),
            ((*INTROSPECTION, "spacing"), float("nan"), "finite"),
            ((*INTROSPECTION, "start_half_arc"), 90, "less than 90"),
            ((*INTROSPECTION, "window"), 3, "greater than or equal to 4"),
            ((*INTROSPECTION, "seeds"), 257, "less than or equal to 256"),
            ((*WAVES, "families"), [], "at least 1 item"),
            ((*WAVES, "start"), "E", "'single', 'arc'"),
            ((*WAVES, "solver"), "numerov", "'transfer_matrix'"),
            ((*INTROSPECTION, "spectral", "words"), 3, "greater than or equal to 4"),
            ((*STAGE, "update"), "sgd", "'adam', 'levenberg_marquardt' or 'natural_gradient'"),
            ((*STAGE, "steps"), 0, "greater than or equal to 1"),
            ((*STAGE, "batch"), 65_537, "less than or equal to 65536"),
            ((*STAGE, "rate"), 0, "greater than 0"),
            ((*STAGE, "rate"), 1.5, "less than or equal to 1"),
            ((*STAGE, "final_rate"), -0.5, "greater than or equal to 0"),
            ((*STAGE, "candidates"), 65, "less than or equal to 64"),
            ((*STAGE, "damping"), 0, "greater than 0"),
            ((*FREE, "degree"), 4, "less than or equal to 3"),
            ((*FREE, "hidden"), [], "at least 1 item"),
            ((*FREE, "noise"), 0.6, "less than or equal to 0.5"),
            ((*FREE, "readout"), "cubic", "'linear', 'quadratic' or 'general'"),
            ((*FREE, "dataset"), "Waves!", "pattern"),
            ((*FREE, "shuffled"), "perhaps", "boolean"),
            ((*BORN, "hidden"), 17, "less than or equal to 16"),
            ((*BORN, "cell"), "gru", "'linear' or 'general'"),
            ((*BORN, "decoder"), None, "'linear', 'quadratic' or 'general'"),
        ],
        ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else repr(part),
    )
    def test_a_value_out_of_bounds_is_named_with_what_is_allowed(
        self, build_settings, path, value, allowed
    ):
        sentence = refusal(changed(build_settings(), path, value))
        assert f"the key {'.'.join(map(str, path))} has the value {value!r}" in sentence
        assert allowed in sentence

    @pytest.mark.parametrize("path", [INTROSPECTION, (*INTROSPECTION, "datasets"), STAGE, FREE])
    @pytest.mark.parametrize("value", [3, "text", None, [1]])
    def test_a_section_must_be_a_mapping(self, build_settings, path, value):
        sentence = refusal(changed(build_settings(), path, value))
        assert ".".join(map(str, path)) in sentence
        assert "dictionary" in sentence

    @pytest.mark.parametrize(
        ("path", "twice"),
        [
            ((*WAVES, "families"), ["deep", "deep"]),
            ((*INTROSPECTION, "extrapolation"), [20, 30, 20]),
            ((*INTROSPECTION, "spectral", "noise"), [0.1, 0.1]),
        ],
        ids=["families", "extrapolation", "noise"],
    )
    def test_nothing_is_measured_twice_under_one_name(self, build_settings, path, twice):
        parse(changed(build_settings(), path, twice[:-1]), SOURCE)
        told = f"{path[-1]} = {twice} holds one of them twice"
        assert told in refusal(changed(build_settings(), path, twice))

    def test_a_long_value_is_cut(self, build_settings):
        assert "..." in refusal(changed(build_settings(), ("seed",), list(range(10_000))))

    @pytest.mark.parametrize("size", [0, -1, 17])
    def test_hidden_dimensions_lie_in_their_range(self, build_settings, size):
        sentence = refusal(changed(build_settings(), (*FREE, "hidden"), [3, size]))
        assert "introspection.translators.free" in sentence
        assert "hidden dimension must lie between 1 and 16" in sentence

    @pytest.mark.parametrize("size", [0, 9])
    def test_latent_dimensions_lie_in_their_range(self, build_settings, size):
        sentence = refusal(changed(build_settings(), (*BORN, "latent"), [size]))
        assert "introspection.distillers.born" in sentence
        assert "latent dimension must lie between 1 and 8" in sentence

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ((*INTROSPECTION, "stages", "short"), []),
            ((*INTROSPECTION, "extrapolation"), [-5]),
            ((*INTROSPECTION, "extrapolation"), [10**9]),
            ((*INTROSPECTION, "spectral", "noise"), [-1.0]),
            ((*INTROSPECTION, "seeds"), True),
            ((*FREE, "hidden"), [3, 3]),
            ((*STAGE, "candidates"), 2),
            ((*INTROSPECTION, "translators", "../free"), MINIMAL_ARM),
        ],
        ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else repr(part),
    )
    def test_what_no_stage_can_use_is_refused_before_any_work(self, build_settings, path, value):
        refusal(changed(build_settings(), path, value))

    @pytest.mark.parametrize("bounds", [[0.5, -0.8], [0.1, 0.1], [-2.5, 0], [0, 2.5]])
    def test_the_strong_range_rises_within_bounds(self, build_settings, bounds):
        sentence = refusal(changed(build_settings(), (*WAVES, "strong_range"), bounds))
        assert "strong_range" in sentence
        assert "[-2, 2]" in sentence


class TestReferences:
    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ((*FREE, "dataset"), "waves"),
            ((*FREE, "stages"), "short"),
            ((*BORN, "dataset"), "waves"),
            ((*BORN, "stages"), "short"),
            ((*BORN, "translator"), "free"),
        ],
    )
    def test_a_name_that_stands_for_nothing(self, build_settings, path, allowed):
        sentence = refusal(changed(build_settings(), path, "nothing"))
        assert f"{'.'.join(path[1:])} = 'nothing' is not one of ['{allowed}']" in sentence

    def test_a_hidden_dimension_that_the_translator_arm_lacks(self, build_settings):
        sentence = refusal(changed(build_settings(), (*BORN, "hidden"), 4))
        assert "distillers.born.hidden = 4 is not one of [3, 6]" in sentence
        assert parse(changed(build_settings(), (*BORN, "hidden"), 6), SOURCE)

    @pytest.mark.parametrize(
        ("name", "sizes", "wanted"), [("quadratic", [1, 3], 2), ("linear", [2], 3)]
    )
    def test_a_latent_dimension_that_the_analysis_reads(self, build_settings, name, sizes, wanted):
        tree = build_settings()
        arms = tree["introspection"]["distillers"]
        arms[name] = {**arms["born"], "latent": sizes}
        sentence = refusal(tree)
        assert f"distillers.{name}.latent = {sizes} lacks {wanted}" in sentence
        assert "add it" in sentence
        arms[name]["latent"] = [*sizes, wanted]
        assert parse(tree, SOURCE)
