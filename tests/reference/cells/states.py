"""What the cells with states of several vectors of units have in common."""

import numpy as np
from scipy.special import expit


class StateCell:
    """A cell without ``weight_hh`` that carries `n_states` numbers a unit beside h, one vector after the other.

    `numbers` are sizes of its own (of its state, say); ``sized(...)`` is the same cell with others. `count` returns
    from them the number of states and of rows of each group of per-unit weights.
    """

    h = ()
    own = "states"
    numbers = ()

    @classmethod
    def count(cls, *numbers):
        return 0, {}

    def __init_subclass__(cls):
        cls.n_states, cls.vectors = cls.count(*cls.numbers)

    @classmethod
    def sized(cls, *numbers):
        return type(cls.__name__, (cls,), {"numbers": numbers})


def heads(hidden_size, head_size):
    """The ranges of units of each head; the last one has what is left."""
    return [np.arange(k, min(k + head_size, hidden_size)) for k in range(0, hidden_size, head_size)]


def silu(a):
    return a * expit(a)
