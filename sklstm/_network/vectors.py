"""Groups of per-unit weights of a cell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Vectors:
    """A named group of per-unit weights of a cell, an array (count, H).

    Attributes
    ----------
    name : str
        Begins with "weight" or "bias".
    count : int or callable
        Vectors in the group; a function of the cell's numbers where it depends on them.
    start : tuple of two floats or callable
        Initial values: uniform between these two; or what a function of (generator, numbers, H) returns, (count, H).
    decays : bool
        Whether weight decay acts on them.
    """

    name: str
    count: object = 1
    start: object = (0.0, 0.0)
    decays: bool = True

    def size(self, numbers):
        """Return the number of vectors."""
        return self.count(numbers) if callable(self.count) else self.count

    def fill(self, generator, numbers, view):
        """Write the initial values into an array (count, H)."""
        if callable(self.start):
            view[:] = self.start(generator, numbers, view.shape[1])
        elif self.start[0] < self.start[1]:
            view[:] = generator.uniform(*self.start, view.shape)
