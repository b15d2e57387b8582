"""Which mode is a tune in: a set of sequences of different lengths, classified while they are played.

A thousand tunes of 12 to 40 notes, made up by a rule: each is in one of four church modes, in any of the twelve keys
so that no single note gives the mode away, begins on its keynote, moves mostly by steps and leaps at times. A network
reads each tune as a sequence of twelve columns, one for each note of the octave, and learns to name the mode behind
every note (``targets="sequence"``). Left: what it takes for what behind the last note of 500 new tunes. Middle: how
sure it is of the right mode as a tune goes on (a stream of each tune). Right: one tune, and the probabilities behind
each note.

Run it with ``python examples/plot_classify_melodies.py``. It takes seconds and writes classify_melodies.png.
"""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from sklstm import DeepLSTMClassifier

# Half tones above the keynote.
MODES = {
    "ionian": [0, 2, 4, 5, 7, 9, 11],
    "dorian": [0, 2, 3, 5, 7, 9, 10],
    "phrygian": [0, 1, 3, 5, 7, 8, 10],
    "mixolydian": [0, 2, 4, 5, 7, 9, 10],
}
COLORS = dict(zip(sorted(MODES), ("tab:blue", "tab:orange", "tab:green", "tab:red"), strict=True))
NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def make_tune(mode, rng):
    """Return the notes of a tune, numbers from 0 to 11; it begins on its keynote."""
    key, degrees, degree = rng.integers(12), MODES[mode], 0
    notes = [key]
    for _ in range(rng.integers(11, 40)):
        step = rng.choice([-2, -1, 1, 2, 4, -3], p=[0.1, 0.33, 0.33, 0.1, 0.07, 0.07])
        degree = (degree + step) % 7 if rng.random() < 0.85 else rng.choice([0, 4])
        notes.append((key + degrees[degree]) % 12)
    return np.array(notes)


def make_tunes(n, seed):
    """Return n tunes and their modes."""
    rng = np.random.default_rng(seed)
    modes = rng.choice(sorted(MODES), n)
    return [make_tune(mode, rng) for mode in modes], modes


def as_rows(tunes):
    """Return each tune as rows of twelve columns, with a one for the note."""
    return [np.eye(12)[tune] for tune in tunes]


def main():
    """Train, listen, draw."""
    tunes, modes = make_tunes(1000, 0)
    new_tunes, new_modes = make_tunes(500, 1)
    model = DeepLSTMClassifier(
        64, targets="sequence", input_scaling=None, learning_rate="one_cycle", learning_rate_init=1e-2, batch_size=32,
        max_iter=40, random_state=0,
    )  # fmt: skip
    model.fit(as_rows(tunes), [np.full(len(tune), mode) for tune, mode in zip(tunes, modes, strict=True)])
    last = [named[-1] for named in model.predict(as_rows(new_tunes))]
    print(f"right of 500 new tunes: {np.mean(last == new_modes):.3f} (of four modes)")

    figure, axes = plt.subplots(1, 3, figsize=(16, 4.6), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(new_modes, last, ax=axes[0], colorbar=False, cmap="Blues")
    axes[0].set_title("500 new tunes")

    # All tunes of 30 notes and more, one stream for each.
    long = [k for k, tune in enumerate(new_tunes) if len(tune) >= 30]
    stream = model.stream(n_streams=len(long), response_method="predict_proba")
    heard = [stream.step(np.stack([np.eye(12)[new_tunes[k][t]] for k in long])) for t in range(30)]
    heard = np.stack(heard, axis=1)  # (tunes, notes, modes)
    for column, mode in enumerate(model.classes_):
        own = new_modes[long] == mode
        axes[1].plot(range(1, 31), heard[own, :, column].mean(axis=0), color=COLORS[mode], label=mode)
    axes[1].axhline(0.25, color="grey", linewidth=0.8)
    axes[1].set(title="Mean probability of the right mode", xlabel="Notes heard", ylim=(0, 1))
    axes[1].legend(loc="lower right", fontsize="small")

    shown = int(np.flatnonzero(new_modes[long] == "dorian")[0])
    for column, mode in enumerate(model.classes_):
        axes[2].plot(range(1, 31), heard[shown, :, column], color=COLORS[mode], label=mode)
    for t, note in enumerate(new_tunes[long[shown]][:30]):
        axes[2].annotate(NAMES[note], (t + 1, 1.03 if t % 2 else 1.09), ha="center", fontsize="x-small")
    axes[2].set(title="One dorian tune", xlabel="Notes heard", ylim=(0, 1.15))
    axes[2].legend(loc="center right", fontsize="small")
    figure.savefig("classify_melodies.png", dpi=110)
    print("classify_melodies.png written")


if __name__ == "__main__":
    main()
