"""Settings: what is valid loads, and every fault is one sentence that says what and where."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emergence.errors import SettingsError
from emergence.settings import (
    BulkSettings,
    ChainsSettings,
    FlowArm,
    Holography,
    Introspection,
    Settings,
    Stage,
    fingerprint,
    load,
    parse,
)

SHIPPED = [
    path
    for path in sorted((Path(__file__).parents[1] / "config").glob("*.yaml"))
    if path.stem != "needs"
]
SOURCE = "config/mine.yaml"
INTROSPECTION = ("introspection",)
STAGE = (*INTROSPECTION, "stages", "short", 0)
WAVES = (*INTROSPECTION, "datasets", "waves")
FREE = (*INTROSPECTION, "translators", "free")
BORN = (*INTROSPECTION, "distillers", "born")
MINIMAL_ARM = {"dataset": "waves", "hidden": [3], "stages": "short"}


def changed(mapping, path, value):
    """The mapping with the entry at ``path`` set."""
    node = mapping
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return mapping


def refusal(content, source=SOURCE):
    """The sentence with which ``content`` is refused."""
    with pytest.raises(SettingsError) as caught:
        parse(content, source)
    return told(caught.value, source)


def told(error, source):
    """The text of a SettingsError, after what holds of every one of them."""
    sentence = str(error)
    assert error.exit_status == 2
    assert "\n" not in sentence
    assert len(sentence) < 600
    assert str(source) in sentence
    assert sentence.endswith(".")
    assert error.remedy
    return sentence


CHAINS = {
    "flow": "line", "size": 2, "space": "bulk",
    "chains": 2, "tuning": 5, "trajectories": 5, "leapfrogs": 2,
}  # fmt: skip


class TestValid:
    def test_a_minimal_mapping_gets_every_default(self, build_settings):
        settings = parse(build_settings(), SOURCE)
        assert settings.precision == "float64"
        assert settings.introspection.spacing == 0.1
        assert settings.introspection.translators["free"].readout == "linear"
        assert settings.introspection.stages["short"][0].candidates == 1

    def test_what_is_resolved_is_itself_valid_and_the_same(self, build_settings):
        settings = parse(build_settings(), SOURCE)
        assert parse(settings.model_dump(mode="json"), SOURCE) == settings

    def test_a_file_is_read_as_the_mapping_it_holds(self, build_settings, tmp_path):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(build_settings()), encoding="utf-8")
        assert load(path) == load(str(path)) == parse(build_settings(), SOURCE)

    def test_values_cannot_be_changed_after_loading(self, build_settings):
        settings = parse(build_settings(), SOURCE)
        with pytest.raises(ValidationError, match="frozen"):
            settings.introspection.seeds = 3

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_the_scales_that_are_shipped_are_valid(self, path):
        assert load(path).scale == path.stem

    @pytest.mark.parametrize(
        "section",
        [Settings, Introspection, Stage, Holography, FlowArm, ChainsSettings, BulkSettings],
    )
    def test_every_number_says_what_it_is(self, section):
        silent = {name for name, field in section.model_fields.items() if not field.description}
        # Mappings of named entries are described by the section that each entry is.
        named = {"introspection", "datasets", "stages", "translators", "distillers", "spectral"}
        named |= {"holography", "theories", "flows", "diagram", "retraining", "chains"}
        assert silent <= named


class TestHolography:
    """What cannot be trained or measured is told before any work."""

    @pytest.mark.parametrize(
        ("path", "value", "told"),
        [
            (("flows", "disc", "sizes"), {6: "brief"}, "power of two"),
            (("flows", "disc", "sizes"), {4: "brief", 2: "brief"}, "must exceed its predecessor"),
            (("theories", "disc", "lam"), 0.0, "no lowest value"),
            (("theories", "disc", "lam"), -1.0, "greater than or equal to 0"),
            (("theories", "line", "t"), [0.5, 0.1], "runs from 0.5 down to 0.1"),
            (("theories", "ising", "t"), 1.0, "takes no t"),
            (("flows", "disc", "theory"), "ising", "splines are for complex fields"),
            (("flows", "disc", "theory"), "none", "flows.disc.theory"),
            (("stages", "brief", 0, "update"), "natural_gradient", "must use adam"),
            (("stages", "brief", 0, "groups"), 3, "multiple of its groups"),
            (("samples",), 13, "no multiple of the chunk"),
            (("chains",), {"a": {**CHAINS, "flow": "none"}}, "chains.a.flow"),
            (("chains",), {"a": {**CHAINS, "size": 8}}, "has no size 8"),
            (("chains",), {"a": {**CHAINS, "flow": "disc", "t": [0.2]}}, "is not told t"),
            (("chains",), {"a": {**CHAINS, "t": [0.7]}}, "outside the flow's"),
        ],
    )
    def test_a_fault_names_file_key_and_reason(self, build_settings, path, value, told):
        content = build_settings()
        node = content["holography"]
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
        with pytest.raises(SettingsError) as caught:
            parse(content, SOURCE)
        assert SOURCE in caught.value.message
        assert told in caught.value.message


class TestFiles:
    def test_missing(self, tmp_path):
        path = tmp_path / "absent.yaml"
        with pytest.raises(SettingsError) as caught:
            load(path)
        sentence = told(caught.value, path)
        assert "No such file" in sentence
        assert "laptop" in sentence

    def test_a_folder(self, tmp_path):
        with pytest.raises(SettingsError, match="Is a directory") as caught:
            load(tmp_path)
        told(caught.value, tmp_path)

    def test_not_text(self, tmp_path):
        path = tmp_path / "binary.yaml"
        path.write_bytes(b"scale: \xff\xfe")
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            load(path)
        told(caught.value, path)

    @pytest.mark.parametrize(
        "text",
        [
            "scale: [laptop",
            "scale: laptop\n  seed: 1",
            "\tscale: laptop",
            "scale: !!python/object:os.system {}",
            "? {a: 1}\n: 2",
            "scale: \x00",
        ],
    )
    def test_not_yaml(self, tmp_path, text):
        path = tmp_path / "broken.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match="not valid YAML") as caught:
            load(path)
        told(caught.value, path)

    @pytest.mark.parametrize(
        "text",
        [
            "scale: !!binary 7",
            "seed: " + "1" * 5000,
            "seed: !!int seven",
            "scale: !!timestamp today",
            "scale: " + "[" * 5000,
        ],
        ids=["no binary", "too many digits", "no integer", "no timestamp", "too deep"],
    )
    def test_scalars_and_nesting_that_the_yaml_library_fails_on(self, tmp_path, text):
        path = tmp_path / "odd.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match="not valid YAML") as caught:
            load(path)
        told(caught.value, path)

    @pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "- scale\n", "laptop", "3"])
    def test_no_mapping(self, tmp_path, text):
        path = tmp_path / "list.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match="no mapping") as caught:
            load(path)
        told(caught.value, path)

    @pytest.mark.parametrize("content", [None, [], "laptop", 3, [{"scale": "laptop"}]])
    def test_no_mapping_once_read(self, content):
        assert "no mapping" in refusal(content)


class TestKeys:
    @pytest.mark.parametrize(
        "path",
        [("sead",), (*INTROSPECTION, "sites"), (*STAGE, "learning_rate"), (*FREE, "latent")],
        ids=lambda path: str(path[-1]),
    )
    def test_an_unknown_key_is_named(self, build_settings, path):
        key = ".".join(map(str, path))
        assert f"the key {key} is unknown" in refusal(changed(build_settings(), path, 1))

    def test_an_unknown_key_of_several_lines_is_named_in_one(self, build_settings):
        refusal(build_settings() | {"several\nlines": 1})

    @pytest.mark.parametrize("key", [1, None, (1, 2), 2.5])
    def test_a_key_that_is_no_text(self, build_settings, key):
        assert f"the key {key} has" in refusal(build_settings() | {key: 1})

    def test_every_required_key_is_missed_by_name(self, build_settings):
        mapping = build_settings()
        required = [("scale",), ("seed",), INTROSPECTION]
        required += [(*INTROSPECTION, key) for key in mapping["introspection"]]
        required += [(*STAGE, key) for key in mapping["introspection"]["stages"]["short"][0]]
        required += [(*FREE, key) for key in mapping["introspection"]["translators"]["free"]]
        required += [(*BORN, key) for key in mapping["introspection"]["distillers"]["born"]]
        for path in required:
            lacking = build_settings()
            node = lacking
            for part in path[:-1]:
                node = node[part]
            del node[path[-1]]
            assert f"the key {'.'.join(map(str, path))} is missing" in refusal(lacking)


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


def paths(node, prefix=()):
    """Every place of a nested mapping or list."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*prefix, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*prefix, key))


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-2, 70)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.sampled_from(["adam", "free", "waves", "circle", "rough", "general"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@hypothesis_settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_mapping_is_either_valid_or_refused_in_one_sentence(build_settings, data):
    mapping = build_settings()
    for _ in range(data.draw(st.integers(1, 4), label="mutations")):
        path = data.draw(st.sampled_from(list(paths(mapping)) or [("scale",)]), label="where")
        node = mapping
        for part in path[:-1]:
            node = node[part]
        kind = data.draw(st.sampled_from(["replace", "delete", "copy", "add"]), label="how")
        if kind == "delete" and path[-1] in (node if isinstance(node, dict) else range(len(node))):
            del node[path[-1]]
        elif kind == "copy":
            source = data.draw(st.sampled_from(list(paths(build_settings()))), label="from")
            value = build_settings()
            for part in source:
                value = value[part]
            node[path[-1]] = copy.deepcopy(value)
        elif kind == "add" and isinstance(node, dict):
            node[data.draw(st.text(max_size=6) | st.integers(), label="key")] = data.draw(junk)
        else:
            node[path[-1]] = data.draw(junk, label="what")
    try:
        settings = parse(mapping, SOURCE)
    except SettingsError as error:
        told(error, SOURCE)
    else:
        assert parse(settings.model_dump(mode="json"), SOURCE) == settings


@hypothesis_settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_refused_in_one_sentence(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(path)
    told(caught.value, path)


class TestFingerprint:
    def test_changes_with_every_value(self, build_settings):
        before = parse(build_settings(), SOURCE).introspection
        after = parse(changed(build_settings(), (*STAGE, "steps"), 21), SOURCE).introspection
        assert fingerprint(before) != fingerprint(after)

    def test_does_not_depend_on_the_order_of_keys_or_on_spelling_out_defaults(self, build_settings):
        mapping = build_settings()
        turned = dict(reversed(mapping.items())) | {"threads": 1}
        assert fingerprint(parse(mapping, SOURCE)) == fingerprint(parse(turned, SOURCE))

    def test_of_a_section_is_that_of_its_mapping(self, build_settings):
        stage = parse(build_settings(), SOURCE).introspection.stages["short"][0]
        assert fingerprint(stage) == fingerprint(stage.model_dump(mode="json"))
        assert len(fingerprint(stage)) == 16
