"""An expected failure is two sentences, also once it has come from another process."""

import pickle

import pytest

from emergence import errors

KINDS = [errors.EmergenceError, *errors.EmergenceError.__subclasses__()]


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_none_without_a_remedy(kind):
    with pytest.raises(TypeError, match="remedy"):
        kind("This is wrong.")
    assert str(kind("This\nis wrong.", "Do  that.")) == "This is wrong. Do that."


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_it_keeps_both_sentences(kind):
    error = pickle.loads(pickle.dumps(kind("This is wrong.", "Do that.")))
    assert type(error) is kind
    assert (error.message, error.remedy) == ("This is wrong.", "Do that.")
