"""How well the translators translate: errors by family, length, size and readout; examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.artifacts import Arrays
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.introspection.analysis import Results


def read(results: Results) -> Iterator[tuple[str, pd.DataFrame | Measurement]]:
    """Tables ``translation``, ``translator_errors``, ``translator_segments``; claims I1 and I2."""
    from emergence.introspection.analysis import per_seed

    main, data = results.translator("main"), results.data("circle")
    lengths = [results.chosen.window, *results.chosen.extrapolation]
    tests, systems = data["test_family"], data["long_family"]
    for index, family in enumerate(data["families"]):
        inside = np.median(main["h3/error_test"][:, tests == index], axis=1)
        yield from _one(per_seed(f"translator.{family}.error", inside, "translators/main"))
        longer = np.median(main["h3/error_long"][:, systems == index], axis=1)
        for column, length in enumerate(lengths[1:], start=1):
            name = f"translator.{family}.error_{length}"
            yield from _one(per_seed(name, longer[:, column], "translators/main"))
    if results.has("translators", "shuffled"):
        wrong = np.median(results.translator("shuffled")["h3/error_test"], axis=1)
        yield from _one(per_seed("control.shuffled.error", wrong, "translators/shuffled"))
    if results.has("translators", "sizes", 2):
        small = np.median(results.translator("sizes")["h2/error_long"][..., -1], axis=1)
        yield from _one(per_seed("control.hidden_2.error_longest", small, "translators/sizes"))
    yield "translation", _examples(results, main, data)
    yield "translator_errors", _errors(results)
    yield "translator_segments", _segments(results, main, data)


def _one(measurement: Measurement) -> Iterator[tuple[str, Measurement]]:
    yield measurement.name, measurement


def _examples(results: Results, main: Arrays, data: Arrays) -> pd.DataFrame:
    """Potential, density and every seed's prediction along the first long system of each family."""
    frames = []
    for index, family in enumerate(data["families"]):
        system = int(np.argmax(data["long_family"] == index))
        potential, density = data["long_potential"][system], data["long_density"][system]
        for seed, prediction in enumerate(main["h3/prediction"][:, index]):
            frames.append(
                pd.DataFrame(
                    {
                        "family": str(family),
                        "seed": seed,
                        "site": np.arange(1, len(potential) + 1),
                        "potential": potential,
                        "density": density,
                        "prediction": prediction,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _errors(results: Results) -> pd.DataFrame:
    """Median and 90th percentile over systems, for every arm, size, family, seed and length."""
    rows = []
    lengths = [results.chosen.window, *results.chosen.extrapolation]
    for arm, chosen in results.chosen.translators.items():
        arrays, data = results.translator(arm), results.data(chosen.dataset)
        for hidden in chosen.hidden:
            errors = arrays[f"h{hidden}/error_long"]
            for index, family in enumerate(data["families"]):
                mine = errors[:, data["long_family"] == index]
                middle, worse = np.median(mine, axis=1), np.quantile(mine, 0.9, axis=1)
                for seed, column in np.ndindex(middle.shape):
                    rows.append(
                        (
                            arm, chosen.readout, chosen.degree, hidden, str(family), seed,
                            lengths[column], middle[seed, column], worse[seed, column],
                        )
                    )  # fmt: skip
    columns = [
        "arm", "readout", "degree", "hidden", "family", "seed", "sites", "error", "error_p90",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _segments(results: Results, main: Arrays, data: Arrays) -> pd.DataFrame:
    """Median error inside each stretch of one window length along the long systems."""
    rows = []
    for index, family in enumerate(data["families"]):
        middle = np.median(main["h3/error_segment"][:, data["long_family"] == index], axis=1)
        for seed, column in np.ndindex(middle.shape):
            end = (column + 1) * results.chosen.window
            rows.append((str(family), seed, end, middle[seed, column]))
    return pd.DataFrame(rows, columns=["family", "seed", "last_site", "error"])
