"""How trained networks are evaluated: in which precision, and whether compiled.

In double precision and compiled by XLA. The drift certificate measures what these choices change, and
asks for others in the settings (``evaluation``); a stage tells them here before it evaluates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from emergence.settings import EvaluationSettings

if TYPE_CHECKING:
    import tensorflow as tf

_wanted = EvaluationSettings()


def want(settings: EvaluationSettings) -> None:
    """Evaluate as these settings say, from now on in this process."""
    global _wanted
    _wanted = settings


def dtype() -> tf.DType:
    """The precision of final numbers."""
    import tensorflow as tf

    return tf.as_dtype(_wanted.precision)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one graph, which XLA compiles unless the settings say otherwise.

    It is made when first called, because only then the settings are known.
    """
    made: dict[bool, Callable[..., Any]] = {}

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        import tensorflow as tf

        fused = _wanted.compiled
        if fused not in made:
            made[fused] = tf.function(function, jit_compile=fused, autograph=False)
        return made[fused](*arguments, **options)

    return call
