"""More than one device for one training: each takes its share of every batch.

The settings say how many (`devices`); a stage tells it here before TensorFlow starts, because the
devices of a process are fixed once. GPUs are taken as they come; without any, that many logical
devices of the processor.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from emergence.errors import SettingsError
from emergence.progress import say

if TYPE_CHECKING:
    import tensorflow as tf

_wanted = 1


def want(count: int) -> None:
    """Share the batches of this process's trainings among so many devices."""
    global _wanted
    _wanted = count


def wanted() -> int:
    """Among how many devices batches are shared."""
    return _wanted


def usable_processors() -> int:
    """How many processors this process may use, which may be fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def capability(name: str) -> tuple[int, int]:
    """``sm_89`` or ``compute_90`` → (8, 9) or (9, 0)."""
    digits = name.rpartition("_")[2]
    return int(digits[:-1]), int(digits[-1])


def hide_unsupported() -> list[tf.config.PhysicalDevice]:
    """Keep to the GPUs that TensorFlow holds code for; each other one is hidden, and a sentence says so.

    Once, before any op.

    Returns:
        The GPUs that are left.
    """
    import tensorflow as tf

    built = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", [])
    least = min((capability(name) for name in built), default=(0, 0))
    kept = []
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        has = details.get("compute_capability", least)
        if has >= least:
            kept.append(gpu)
            continue
        say(
            f"{details.get('device_name') or gpu.name} has compute capability {has[0]}.{has[1]}, but "
            f"TensorFlow is built for {least[0]}.{least[1]} and later: it is not used."
        )
    if len(kept) < len(gpus):
        tf.config.set_visible_devices(kept, "GPU")
    return kept


def prepare() -> None:
    """Make that many devices there; once, before any op.

    Raises:
        SettingsError: there are GPUs, but not so many.
    """
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus and len(gpus) < _wanted:
        raise SettingsError(
            f"The settings ask for {_wanted} devices, but there are {len(gpus)} GPUs here.",
            f"Set devices to {len(gpus)} or less, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1.",
        )
    if not gpus and _wanted > 1:
        (processor, *_) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(_wanted)]
        tf.config.set_logical_device_configuration(processor, logical)
        # Otherwise they would wait for each other.
        tf.config.threading.set_inter_op_parallelism_threads(_wanted)


def clock() -> float:
    """Seconds that work is charged with: of the processor, or on a GPU, which it waits for, of the wall.

    Only differences mean anything.
    """
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        return time.perf_counter()
    return time.process_time()


def strategy() -> tf.distribute.Strategy:
    """The devices as one: what runs on all of them, and the mean of what each found."""
    import tensorflow as tf

    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)[:_wanted]]
    return tf.distribute.MirroredStrategy(
        names, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
