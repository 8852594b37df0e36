"""Places of the settings that tests change, and what holds of every refusal of settings."""

import pytest

from emergence.errors import SettingsError
from emergence.settings import parse

SOURCE = "config/mine.yaml"
INTROSPECTION = ("introspection",)
STAGE = (*INTROSPECTION, "stages", "short", 0)
WAVES = (*INTROSPECTION, "datasets", "waves")
FREE = (*INTROSPECTION, "translators", "free")
BORN = (*INTROSPECTION, "distillers", "born")


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
