"""Settings: what is valid loads, and every fault is one sentence that says what and where."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mappings import changed, places
from pydantic import ValidationError
from refused_settings import BORN, FREE, INTROSPECTION, SOURCE, STAGE, refusal, told

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
    for path in sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
    if path.stem != "needs"
]


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


@hypothesis_settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_mutated_mapping_is_either_valid_or_refused_in_one_sentence(build_settings, data):
    mapping = build_settings()
    for _ in range(data.draw(st.integers(1, 4), label="mutations")):
        path = data.draw(st.sampled_from(list(places(mapping))[1:] or [("scale",)]), label="where")
        node = mapping
        for part in path[:-1]:
            node = node[part]
        kind = data.draw(st.sampled_from(["replace", "delete", "copy", "add"]), label="how")
        if kind == "delete" and path[-1] in (node if isinstance(node, dict) else range(len(node))):
            del node[path[-1]]
        elif kind == "copy":
            source = data.draw(st.sampled_from(list(places(build_settings()))[1:]), label="from")
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


@hypothesis_settings(max_examples=50, deadline=None)
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
