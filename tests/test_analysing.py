"""Tables and measurements are told apart and keep their order."""

import pandas as pd

from emergence.analysing import gather, named
from emergence.statistics import Measurement


def test_the_parts_follow_each_other_and_each_is_given_the_results():
    def first(results):
        yield "odd", pd.DataFrame({"n": results[::2]})
        yield from named(Measurement("b", 2.0, 0.1), Measurement("a", 1.0, 0.1))

    def second(results):
        yield "all", pd.DataFrame({"n": results})
        yield from named(Measurement("c", float(len(results)), 0.0))

    tables, measurements = gather((first, second), [1, 2, 3])
    assert list(tables) == ["odd", "all"]
    assert tables["odd"]["n"].tolist() == [1, 3]
    assert [each.name for each in measurements] == ["b", "a", "c"]
    assert measurements[-1].value == 3.0


def test_of_no_parts_nothing_is_found():
    assert gather((), None) == ({}, [])
