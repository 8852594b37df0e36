"""What TensorFlow may use of this machine, and how it must behave there."""

from __future__ import annotations

import os

import tensorflow as tf

from emergence import devices


def use_host(threads: int, optimisation: int | None = None) -> str:
    """Fix TensorFlow's threads, determinism, GPUs and memory growth; once, before any op.

    Args:
        optimisation: how far XLA optimises what it compiles, 0 to 3; as it likes, which is 3.

    Returns:
        The device the stage will use, for its provenance.
    """
    if optimisation is not None:
        # XLA reads them when it first compiles; what the user asks for comes later and is taken.
        asked = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level={optimisation} {asked}".strip()
    # One compiled function per stage and size is meant; TensorFlow would warn of each.
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    gpus = devices.hide_unsupported()
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    devices.prepare()
    if not gpus:
        return f"CPU ({threads} thread{'s' if threads > 1 else ''})"
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
