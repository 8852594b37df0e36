"""Physics broken on purpose: each breakage changes one piece of the code while it lasts.

What is broken stands in the library, not in a copy of it: the stages that run meanwhile are the very
stages of the workflow. Some errors leave every energy as it is and are no use here: on a bipartite
lattice the sign of a nearest-neighbour coupling is a change of basis, of the Ising chain as of φ⁴; that
of a next-nearest one is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock


@contextmanager
def nothing() -> Iterator[None]:
    """Nothing is broken: the same experiment must then stay green."""
    yield


def _replaced(place: Any, name: str, value: Any) -> AbstractContextManager:
    """``place.name`` is another object for a while; an error where there is no such name."""
    return mock.patch.object(place, name, value)


# --- introspection -------------------------------------------------------------------------------


def wrong_pairing() -> AbstractContextManager:
    """Every system's density is that of another system's potential."""
    from emergence.introspection import dataset

    right = dataset._family

    def family(settings, name, kind, rng, number, sites):
        arrays = right(settings, name, kind, rng, number, sites)
        return arrays | {"density": dataset.shuffle_systems(arrays["density"], rng)}

    return _replaced(dataset, "_family", family)


def delayed_potential() -> AbstractContextManager:
    """Each site's density is read before that site's potential: the network has to foresee it."""
    import numpy as np

    from emergence.introspection import dataset

    right = dataset._family

    def family(settings, name, kind, rng, number, sites):
        arrays = right(settings, name, kind, rng, number, sites)
        late = np.roll(arrays["potential"], 1, axis=1)
        late[:, 0] = 0.0
        return arrays | {"potential": late}

    return _replaced(dataset, "_family", family)


def shuffled_latents() -> AbstractContextManager:
    """The latents of each window are those of another window."""
    from emergence.introspection import reading
    from emergence.introspection.dataset import shuffle_systems
    from emergence.randomness import generator

    right = reading.read_wave_law

    def read(weights, latent, *rest):
        order = generator(0, "shuffled latents")
        return right(weights, shuffle_systems(latent.swapaxes(0, 1), order).swapaxes(0, 1), *rest)

    return _replaced(reading, "read_wave_law", read)


# --- holography ----------------------------------------------------------------------------------


def dropped_jacobian() -> AbstractContextManager:
    """The spline's derivative is left out of the likelihood."""
    import tensorflow as tf

    from emergence.holography import hierarchy

    right = hierarchy.run_layers

    def run_layers(*arguments, **named):
        lattice, log_det = right(*arguments, **named)
        return lattice, tf.zeros_like(log_det)

    return _replaced(hierarchy, "run_layers", run_layers)


def cut_torus() -> AbstractContextManager:
    """The bonds that close the torus are missing."""
    import tensorflow as tf

    from emergence.holography import densities

    def bond_sum(field):
        rows = tf.reduce_sum(field[:, :, 1:] * field[:, :, :-1], axis=[2, 3, 4])
        return rows + tf.reduce_sum(field[:, :, :, 1:] * field[:, :, :, :-1], axis=[2, 3, 4])

    return _replaced(densities, "bond_sum", bond_sum)


def unweighed_chains() -> AbstractContextManager:
    """Chains in the bulk accept every proposal: they keep what the flow makes, and not the theory."""
    import tensorflow as tf

    from emergence.holography import chain_moves

    right = chain_moves.weighing

    def weighing(problem, generate):
        weigh = right(problem, generate)

        def evaluate(latents, couplings, parameters):
            log_weight, field = weigh(latents, couplings, parameters)
            return tf.zeros_like(log_weight), field

        return evaluate

    return _replaced(chain_moves, "weighing", weighing)


# --- retraining ----------------------------------------------------------------------------------


def flipped_field() -> AbstractContextManager:
    """The transverse field has the wrong sign, which no positive wave function can follow."""
    from emergence.retraining.models import Ising

    return _replaced(Ising, "flip", property(lambda model: model.field))


def wrong_boundary() -> AbstractContextManager:
    """The Hamiltonian that is minimised is that of a ring."""
    from emergence.retraining import arms

    right = arms.model_of

    def model_of(arm, size):
        return right(arm.model_copy(update={"boundary": "periodic"}), size)

    return _replaced(arms, "model_of", model_of)


def flipped_coupling() -> AbstractContextManager:
    """The coupling between next-nearest spins has the wrong sign: nothing is frustrated."""
    from emergence.retraining import arms

    right = arms.model_of

    def model_of(arm, size):
        return right(arm.model_copy(update={"j2": -arm.j2}), size)

    return _replaced(arms, "model_of", model_of)


def acausal_network() -> AbstractContextManager:
    """Each conditional probability reads the very spin that it is of, as if never shifted."""
    import tensorflow as tf

    from emergence.retraining.recurrent import Recurrent

    def neighbour_spins(self, spins, position):
        return tf.gather(spins, position), tf.zeros_like(spins[0])

    return _replaced(Recurrent, "neighbour_spins", neighbour_spins)


def memoryless_sampling() -> AbstractContextManager:
    """Spins are drawn without regard to those before, and counted as if they were."""
    import tensorflow as tf

    from emergence.retraining.recurrent import Recurrent

    right = Recurrent.sample

    class Forgetful(Recurrent):
        def advance(self, parameters, memory, position, left_spin, above_spin, ups):
            nothing = (tf.zeros_like(memory), position, tf.zeros_like(left_spin))
            return super().advance(parameters, *nothing, tf.zeros_like(above_spin), ups)

    def sample(self, parameters, seed, batch):
        return right(Forgetful(self.cell, self.moves, self.masked), parameters, seed, batch)

    return _replaced(Recurrent, "sample", sample)
