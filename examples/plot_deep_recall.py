"""Ten layers that remember: the adding problem, with and without residual connections and layer normalisation.

The adding problem (Hochreiter & Schmidhuber 1997, section 5.4; in this form Le et al. 2015, section 4.1): a sequence
has 200 steps of two columns. The first is uniform in [0, 1], the second marks two steps by a one, one in each half,
and is zero elsewhere. The target is the sum of the two marked values. Who always says 1, the mean, has a squared
error of 1/6, the variance of the target; to do better, the network has to carry what it read over up to 200 steps,
and here through ten layers too.

Two stacks of ten layers of 64 units see the same 20,000 sequences in the same order with the same settings. One is
plain, the other has ``residual=1`` and ``norm="layer"``. The validation part draws the curves and decides which
epoch is kept; the test part is used once. doc/studies/deep.md has other seeds, step sizes, sizes
(``--layers 20 --units 32``) and numbers of sequences.

Run it with ``python examples/plot_deep_recall.py``. It prints the errors and writes deep_recall.png.
"""

# sphinx_gallery_thumbnail_path = "studies/gallery/deep_recall.png"

import argparse
import time

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_squared_error

from sklstm import DeepLSTMRegressor

N_STEPS = 200
VARIANCE = 1 / 6  # of the sum of two uniform numbers
SOLVED = 0.01
SETTINGS = {
    "learning_rate_init": 1.5e-3,
    "learning_rate": "one_cycle",
    "batch_size": 32,
    "weight_decay": 0.0,
    "max_iter": 10,
}
STACKS = {
    "plain": {},
    'residual=1, norm="layer"': {"residual": 1, "norm": "layer"},
}


def make_adding_problem(n_sequences, rng):
    """Return sequences of shape (n_sequences, N_STEPS, 2) and their sums."""
    X = np.zeros((n_sequences, N_STEPS, 2), np.float32)
    X[:, :, 0] = rng.random((n_sequences, N_STEPS))
    rows = np.arange(n_sequences)
    first = rng.integers(0, N_STEPS // 2, n_sequences)
    second = rng.integers(N_STEPS // 2, N_STEPS, n_sequences)
    X[rows, first, 1] = X[rows, second, 1] = 1.0
    return X, (X[rows, first, 0] + X[rows, second, 0]).astype(float)


def standardise(parts):
    """Scale both columns by their mean and deviation in the first part, as one does with any table.

    The marker is one in one step of a hundred; scaled, it is 9.9 there and -0.1 elsewhere, and easy to find.
    """
    mean, deviation = parts[0].mean(axis=(0, 1)), parts[0].std(axis=(0, 1))
    return [(X - mean) / deviation for X in parts]


def draw(path, curves, n_train, title):
    """Error on the validation part against the number of sequences seen."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (name, curve), color in zip(curves.items(), ("tab:grey", "tab:blue"), strict=True):
        seen = n_train * np.arange(1, len(curve) + 1)
        axes.semilogy(seen, curve, "o-", color=color, markersize=3, label=name)
    axes.axhline(VARIANCE, color="black", linestyle=":", linewidth=1)
    axes.axhline(SOLVED, color="black", linestyle="--", linewidth=1)
    right = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "center", "fontsize": "small"}
    axes.annotate(" variance of\n the target", (1, VARIANCE), **right)
    axes.annotate(f" {SOLVED:g}", (1, SOLVED), **right)
    axes.set(xlabel="sequences seen", ylabel="mean squared error, validation part")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(title)
    axes.legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=100)


def main():
    """Train both stacks, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picture", default="deep_recall.png", help="where to write (default: deep_recall.png)")
    parser.add_argument("--layers", default=10, type=int, help="of a stack (default: 10)")
    parser.add_argument("--units", default=64, type=int, help="of a layer (default: 64)")
    parser.add_argument("--sequences", default=2000, type=int, help="in the training part (default: 2000)")
    parser.add_argument("--seed", default=0, type=int, help="of the networks (default: 0)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X, y = zip(*(make_adding_problem(n, rng) for n in (arguments.sequences, 500, 2000)), strict=True)
    train, validation, test = standardise(X)
    print(f"always the mean of the training part: test error {np.mean((y[2] - y[0].mean()) ** 2):.5f}")
    curves = {}
    for name, changes in STACKS.items():
        model = DeepLSTMRegressor(arguments.units, arguments.layers, random_state=arguments.seed, **SETTINGS, **changes)
        begin = time.perf_counter()
        model.fit(train, y[0], X_val=validation, y_val=y[1])
        seconds = time.perf_counter() - begin
        # The score is 1 - loss / loss of the mean of the training part.
        null = np.mean((y[1] - y[0].mean()) ** 2)
        curves[name] = null * (1 - np.array(model.validation_scores_))
        error = mean_squared_error(y[2], model.predict(test))
        print(f"{name}: test error {error:.5f} ({seconds:.0f} s)", flush=True)
        print("  validation error of each epoch:", " ".join(f"{value:.4f}" for value in curves[name]))
        print("  mean norm of the gradient:     ", " ".join(f"{value:.4f}" for value in model.gradient_norms_))
    title = f"Adding problem, {N_STEPS} steps: {arguments.layers} layers of {arguments.units} units"
    draw(arguments.picture, curves, arguments.sequences, title)
    print(f"{arguments.picture} written")


if __name__ == "__main__":
    main()
