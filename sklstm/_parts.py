"""Training part and validation part: samples as the user passed them, and how they are split."""

from dataclasses import dataclass, replace

import numpy as np

from sklstm._validation import title_of_row
from sklstm._warn import warn_user

# Below this many samples a validation part costs more accuracy than early stopping saves (doc/studies/defaults.md).
AUTO_EARLY_STOPPING = 200
# "auto" trains on all samples if the gap between training and validation part would be a larger share than this.
LARGEST_GAP = 0.25
WAYS_OUT = "set early_stopping=False, or bring your own validation part (X_val, y_val)"


@dataclass(frozen=True)
class Part:
    """Checked samples, all of them with a positive weight: samples of weight zero are excluded.

    Attributes
    ----------
    sequences : Sequences
        Its table holds all rows, including those that only occur in the windows of other samples.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets as the user passed them.
    weights : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        In float64, the largest of them between 0.5 and 1.
    exponent : int
        ``weights * 2**exponent`` are the weights that the user passed.
    rows : ndarray of shape (n_samples,)
        The positions of the samples among those that the user passed.
    name : str, default="y"
        Name of y in messages.
    is_set : bool, default=False
        Whether the samples are a set of sequences, in any order, and not the rows of a table.
    groups : RowGroups or None, default=None
        The groups of the rows of the table, where the user passed them.
    given : ndarray or None, default=None
        The table as the user passed it, where that of `sequences` is in the units of the groups.
    """

    sequences: object
    y: np.ndarray
    weights: np.ndarray
    exponent: int
    rows: np.ndarray
    name: str = "y"
    is_set: bool = False
    groups: object = None
    given: np.ndarray | None = None

    def __len__(self):
        """Return the number of samples."""
        return len(self.sequences)

    def take(self, selection):
        """Return some of the samples."""
        return self._choose(self.sequences.take(selection), selection)

    def keep(self, mask):
        """Return the samples that a mask chooses, in their blocks."""
        return self._choose(self.sequences.keep(mask), mask)

    def _choose(self, sequences, chosen):
        y, weights, rows = (array[chosen] for array in (self.y, self.weights, self.rows))
        return replace(self, sequences=sequences, y=y, weights=weights, rows=rows)

    @property
    def at_every_step(self):
        """Whether the samples are the steps of a set of sequences."""
        return self.sequences.bounds is not None

    def title(self, sample):
        """Return what a sample is called in messages."""
        row = self.rows[sample]
        return title_of_row(row, self.sequences.bounds, self.name) if self.at_every_step else f"row {row}"

    @property
    def ends(self):
        """The last row of each sample."""
        return self.sequences.starts + self.sequences.lengths - 1

    @property
    def sample_weights(self):
        """One weight for each sample: of several outputs, their mean."""
        return self.weights if self.weights.ndim == 1 else self.weights.mean(axis=1)


def hold_out(part, early_stopping, fraction, codes, classes):
    """Split a part into the samples to train on and those of early stopping.

    Parameters
    ----------
    part : Part
    early_stopping : bool or "auto"
    fraction : float
        Share of the samples of each block that are set aside.
    codes : ndarray of shape (n_samples,) or None
        The class of each sample, where it has one.
    classes : ndarray or None
        The labels of the classes.

    Returns
    -------
    first, last : Part
        `last` is None without early stopping.
    """
    n, automatic = len(part), early_stopping == "auto"
    if not early_stopping or (automatic and n < AUTO_EARLY_STOPPING):
        return part, None
    if part.at_every_step:
        first, last = part.sequences.split_last_series(fraction)
    elif part.is_set and codes is not None:
        first, last = part.sequences.split_last_of_classes(fraction, codes)
    else:
        first, last = part.sequences.split_last(fraction)
    n_left_out = n - len(first) - len(last)
    # Of few sequences with targets at every step, one may hold much of what there is to learn.
    is_large = part.at_every_step and len(last) > (fraction + LARGEST_GAP) * n
    if automatic and (len(last) == 0 or n_left_out > LARGEST_GAP * n or is_large):
        return part, None
    if len(last) == 0:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves no training or no validation "
            + (
                f"sequence of {len(part.sequences.series()[0])}."
                if part.at_every_step
                else f"sample of {n}{_between_the_parts(part.sequences)}."
            )
        )
    if n_left_out > LARGEST_GAP * n:
        warn_user(f"early_stopping=True trains on {len(first)} of {n} rows{_between_the_parts(part.sequences)}.")
    if codes is not None:
        _warn_of_lost_classes(codes, first, classes)
    return part.take(first), part.take(last)


def _between_the_parts(sequences):
    """Describe the rows that are neither trained on nor validated on, and what to do about it."""
    gap, horizon, n_blocks = sequences.gap, sequences.horizon, len(sequences.blocks) - 1
    groups = f" in each of {n_blocks} groups" if n_blocks > 1 else ""
    if horizon > gap + 1:
        return f": horizon - 1 = {horizon - 1} rows lie between the two{groups}. Take a shorter horizon, or {WAYS_OUT}"
    if gap == 0:
        return ""
    return (
        f": sequence_length - 1 = {gap} rows lie between the two{groups}. Take a shorter sequence_length, or {WAYS_OUT}"
    )


def _warn_of_lost_classes(codes, first, classes):
    """Warn of classes all samples of which lie in the last part in time."""
    lost = np.setdiff1d(codes, codes[first])
    if len(lost):
        warn_user(
            f"early stopping sets the last rows aside, and with them every sample of class "
            f"{classes[lost].tolist()[0]!r}: it will not be learnt. Is y sorted by class? Then {WAYS_OUT}."
        )


def refuse_lost_outputs(weights):
    """Raise if an output has no sample of positive weight, given the weights of the training part."""
    lost = np.flatnonzero(~weights.any(axis=0)) if weights.ndim == 2 else ()
    if len(lost):
        raise ValueError(
            f"no sample of the training part has a positive weight for output {lost[0]} (sample_weight, class_weight), "
            f"which cannot be learnt. If only the last rows have one, {WAYS_OUT}."
        )
