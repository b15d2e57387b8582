"""Rows that wait for their truth."""

from collections import OrderedDict


class Waiting:
    """Numbers of the rows whose truth has not come, by key; those without a key in the order of time."""

    def __init__(self):
        self._numbers, self._keys, self._plain = {}, {}, OrderedDict()

    def __len__(self):
        """Return how many there are."""
        return len(self._keys) + len(self._plain)

    def __contains__(self, key):
        """Return whether a row of this key waits."""
        return key in self._numbers

    def add(self, number, key):
        """Add a row."""
        if key is None:
            self._plain[number] = None
        else:
            self._numbers[key], self._keys[number] = number, key

    def number_of(self, key):
        """Return the number of the row of a key, or None."""
        return self._numbers.get(key)

    def oldest(self):
        """Return the number of the row without a key that waits longest, or None."""
        return next(iter(self._plain), None)

    def plain(self):
        """Return the numbers of the rows without a key, that which waits longest first."""
        return list(self._plain)

    def has(self, number):
        """Return whether a row of this number waits."""
        return number in self._plain or number in self._keys

    def key_of(self, number):
        """Return the key of a row, None for one without a key or that does not wait."""
        return self._keys.get(number)

    def discard(self, number):
        """Remove a row, or what is left of it, if it waits."""
        self._plain.pop(number, None)
        if self._keys.pop(number, None) is not None:
            self._numbers = {key: number for number, key in self._keys.items()}

    def put_back(self, number, key):
        """Let a row wait again, where it was."""
        if key is None:
            self._plain = OrderedDict.fromkeys(sorted({*self._plain, number}))
        else:
            self._keys = dict(sorted({**self._keys, number: key}.items()))
            self._numbers = {key: number for number, key in self._keys.items()}

    def remove(self, number):
        """Remove a row."""
        if number in self._keys:
            del self._numbers[self._keys.pop(number)]
        else:
            del self._plain[number]

    def items(self):
        """Return the pairs of key, or None, and number, in the order of the rows."""
        pairs = [(key, number) for number, key in self._keys.items()]
        return sorted([*pairs, *((None, number) for number in self._plain)], key=lambda pair: pair[1])

    @property
    def state(self):
        """Keys and numbers, as lists."""
        return {"keys": list(self._keys.values()), "numbers": list(self._keys), "plain": list(self._plain)}

    @classmethod
    def from_state(cls, state):
        """Return what a state was taken of."""
        made = cls()
        for key, number in zip(state["keys"], state["numbers"], strict=True):
            made.add(number, key)
        for number in state["plain"]:
            made.add(number, None)
        return made
