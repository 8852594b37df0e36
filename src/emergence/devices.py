"""More than one device for one training: each takes its share of every batch.

The settings say how many (`devices`); a stage tells it here before TensorFlow starts, because the
devices of a process are fixed once. GPUs are taken as they come; without any, that many logical
devices of the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emergence.errors import SettingsError

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


def prepare() -> None:
    """Make that many devices there; once, before any op.

    Raises:
        SettingsError: there are GPUs, but not so many.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
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


def strategy() -> tf.distribute.Strategy:
    """The devices as one: what runs on all of them, and the mean of what each found."""
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)[:_wanted]]
    return tf.distribute.MirroredStrategy(
        names, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
