"""Constraints on the recurrent weights: matrices that `weight_hh` is taken back to after each step of the optimizer.

A constraint is an entry of the registry. It is made for a network and changes the weights of that network in place:
`hold` before training and at the end of each epoch, `after_step` in between. `hold` changes nothing that it has made
itself, so that training in parts gives the bits of training at once.
"""

# Largest singular value of a gate's matrix.
LIMIT = 0.99


class _Constraint:
    """What is done with the recurrent matrices of a network."""

    def __init__(self, network):
        self._network, self._blocks = network, network.recurrent_blocks()


class SpectralNorm(_Constraint):
    """A largest singular value of at most `LIMIT`, by power iteration (Miyato et al. 2018, section 2.1).

    Parameters
    ----------
    network : Network
        Whose weights are changed.
    """

    def hold(self):
        """Scale the matrices down, with iterations that have converged."""
        self._blocks.bound_norms(self._network.weights, LIMIT, anew=True)

    def after_step(self):
        """Scale the matrices down, with iterations that go on from where those of the step before ended."""
        self._blocks.bound_norms(self._network.weights, LIMIT, anew=False)


class ScaledOrthogonal(_Constraint):
    """Multiples of matrices with orthonormal columns, s Q with s of at most `LIMIT`.

    After a step from P to U, Q is the polar factor of U, a retraction to the orthogonal matrices (Absil & Malick 2012,
    section 3.3), by the iteration of Newton and Schulz (Higham 2008, section 8.3); s is the length of U along P.

    Parameters
    ----------
    network : Network
        Whose weights are changed.
    """

    def hold(self):
        """Replace the matrices by the nearest ones, but for those that are of this kind already."""
        self._blocks.make_orthogonal(self._network.weights, LIMIT, anew=True)

    def after_step(self):
        """Replace the matrices by what the step makes of s and Q."""
        self._blocks.make_orthogonal(self._network.weights, LIMIT, anew=False)


CONSTRAINTS = {"spectral_norm": SpectralNorm, "scaled_orthogonal": ScaledOrthogonal}


def hold_constraint(network, name):
    """Change the weights of a network so that they satisfy a constraint of the registry."""
    CONSTRAINTS[name](network).hold()
