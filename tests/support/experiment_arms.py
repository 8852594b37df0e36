"""Settings of two datasets and a few arms of translators and distillers, small enough to train."""

from typing import Any

from emergence import settings

SEEDS, WINDOW, LENGTHS = 2, 20, [20, 30, 40]
STAGES = {
    "short": [
        {"update": "adam", "steps": 300, "batch": 16, "window": 6, "rate": 0.03, "ridge": 1e-6},
        {"update": "levenberg_marquardt", "steps": 10, "batch": 20, "window": 20, "ridge": 1e-9},
    ],
    "quick": [{"update": "adam", "steps": 400, "batch": 16, "window": 8, "rate": 0.03}],
}
FREE = {"dataset": "waves", "hidden": [3], "degree": 1, "stages": "short"}
BORN = {"dataset": "waves", "translator": "free", "latent": [2], "degree": 1, "stages": "quick"}
ARMS = {
    "translators": {
        "free": FREE,
        "pair": FREE | {"hidden": [2, 3]},
        "noisy": FREE | {"noise": 0.1},
        "wrong": FREE | {"shuffled": True},
        "lone": FREE | {"dataset": "alike"},
    },
    "distillers": {
        "born": BORN,
        "wide": BORN | {"translator": "pair", "hidden": 3, "latent": [1, 4]},
        "general": BORN
        | {"translator": "pair", "latent": [1], "cell": "general", "decoder": "general"},
        "wrong": BORN | {"shuffled": True},
    },
}


def parse_arms(content: dict[str, Any], **changes: Any) -> settings.Settings:
    """Minimal settings with these datasets, stages and arms; keywords replace keys of them."""
    content |= {"checkpoint_seconds": 0.0}
    section = content["introspection"]
    section |= {"training_windows": 40, "window": WINDOW, "extrapolation": LENGTHS[1:]}
    section["datasets"]["alike"] = {"families": ["rough"], "start": "single"}
    section["stages"] = STAGES
    section |= ARMS | changes
    return settings.parse(content, "these settings")
