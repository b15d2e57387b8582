"""When to stop: training curves with and without a validation part.

600 noisy rows and a network that is large for them. Left: it is trained for 150 epochs; its loss falls to the end,
while that of later rows has its minimum early and rises. In the middle: ``early_stopping=True`` sets the last tenth of
the rows aside, stops when their score no longer improves, and keeps the parameters of the best epoch. Right: three
networks of one estimator (``n_seeds=3``), each with its own best epoch. Written inside: the score on rows that
nobody saw in training.

Run it with ``python examples/plot_early_stopping.py``. It takes seconds and writes early_stopping.png.
"""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sklstm import DeepLSTMRegressor
from sklstm.inspection import TrainingCurveDisplay

ROWS, TEST = slice(0, 600), slice(600, 2600)
SETTINGS = {"hidden_size": 48, "sequence_length": 12, "learning_rate_init": 3e-3, "max_iter": 150, "random_state": 0}


def make():
    """Return a table, and a target that half consists of noise."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2600, 5))
    signal = np.convolve(X[:, 0], [0.6, 0.5, 0.4, 0.3])[: len(X)] * np.tanh(X[:, 1])
    return X, signal + 0.6 * rng.normal(size=len(X))


def main():
    """Train, compare, draw."""
    X, y = make()
    test = {"context": X[ROWS]}
    # The test part only draws a curve here: it stops nothing, for nothing is allowed to stop.
    whole = DeepLSTMRegressor(**SETTINGS, early_stopping=True, n_iter_no_change=10**6)
    whole.fit(X[ROWS], y[ROWS], X_val=X[TEST], y_val=y[TEST])
    last = DeepLSTMRegressor(**SETTINGS, early_stopping=False).fit(X[ROWS], y[ROWS])
    stopped = DeepLSTMRegressor(**SETTINGS, early_stopping=True).fit(X[ROWS], y[ROWS])
    several = DeepLSTMRegressor(**SETTINGS, early_stopping=True, n_seeds=3).fit(X[ROWS], y[ROWS])

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained", sharey=True)
    TrainingCurveDisplay.from_losses(whole.loss_curve_, whole.validation_loss_curve_, ax=axes[0])
    TrainingCurveDisplay.from_estimator(stopped, ax=axes[1])
    TrainingCurveDisplay.from_estimator(several, ax=axes[2])
    scores = {"150 epochs": last, f"stopped after {stopped.n_iter_}": stopped, "three networks": several}
    for ax, (name, model) in zip(axes, scores.items(), strict=True):
        text = f"{name}\nR² of new rows {model.score(X[TEST], y[TEST], **test):.2f}"
        ax.text(0.97, 0.96, text, transform=ax.transAxes, ha="right", va="top")
        print(f"{name}: R2 of the training rows {model.score(X[ROWS], y[ROWS]):.2f}, ", end="")
        print(f"of new rows {model.score(X[TEST], y[TEST], **test):.2f}")
    figure.savefig("early_stopping.png", dpi=110)
    print("early_stopping.png written")


if __name__ == "__main__":
    main()
