"""Which row of which column made the prediction: integrated gradients, against a rule that is known.

The target is made by a rule: 0.8 times what column "a" was three rows ago, and the product of "b" two rows and five
rows ago; columns "c" and "d" have nothing to do with it. A network learns it from windows of eight rows. Integrated
gradients of `sklstm.inspection` then say what each row of each column adds to a prediction: the left picture is one
window, in the middle the mean size over the test part, which finds the three places of the rule, and on the right what
they add up to: the prediction less that of a mean window.

Run it with ``python examples/plot_attribution.py``. It takes seconds and writes attribution.png.
"""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sklstm import DeepLSTMRegressor
from sklstm.inspection import AttributionDisplay, integrated_gradients

NAMES = ["a", "b", "c", "d"]
TRAIN, TEST = slice(0, 4000), slice(4000, 4400)
PLACES = {("a", 3), ("b", 2), ("b", 5)}  # column, rows ago


def make():
    """Return a table of independent columns, and the target by the rule, with noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4400, 4))
    y = np.zeros(len(X))
    y[5:] = 0.8 * X[2:-3, 0] + X[3:-2, 1] * X[:-5, 1]
    return X, y + 0.1 * rng.normal(size=len(X))


def main():
    """Train, explain, draw."""
    X, y = make()
    model = DeepLSTMRegressor(
        32, sequence_length=8, learning_rate_init=5e-3, learning_rate="one_cycle", max_iter=40, random_state=0
    ).fit(X[TRAIN], y[TRAIN])
    print(f"R2 of the test part: {model.score(X[TEST], y[TEST], context=X[TRAIN]):.3f}")

    found = integrated_gradients(model, X[TEST], context=X[TRAIN])
    sizes = np.abs(found.attributions).mean(axis=0)  # (steps, columns)
    strongest = sorted(np.ndindex(sizes.shape), key=lambda place: sizes[place], reverse=True)[:3]
    for step, column in strongest:
        print(
            f"column {NAMES[column]!r}, {7 - step} rows ago: {sizes[step, column]:.2f} of the prediction, in the mean"
        )

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    AttributionDisplay.from_estimator(model, X[TEST], samples=[100], context=X[TRAIN], feature_names=NAMES, ax=axes[0])
    axes[0].set_title("One window")
    image = axes[1].imshow(sizes.T, cmap="Greens", aspect="auto", extent=(7.5, -0.5, 3.5, -0.5))
    for name, ago in PLACES:
        axes[1].plot(ago, NAMES.index(name), "o", color="black", fillstyle="none", markersize=22)
    axes[1].set(title="Mean size; circles: the rule", xlabel="Rows ago", yticks=range(4), yticklabels=NAMES)
    figure.colorbar(image, ax=axes[1])
    added = found.attributions.sum(axis=(1, 2))
    change = found.predictions - found.baseline_predictions
    axes[2].plot(change, added, ".", color="tab:green")
    axes[2].axline((0, 0), slope=1, color="black", linewidth=0.8)
    axes[2].set(title="They add up", xlabel="Prediction less that of a mean window", ylabel="Sum of the attributions")
    figure.savefig("attribution.png", dpi=110)
    print(f"attribution.png written; largest error of a sum: {np.abs(found.errors).max():.1e}")


if __name__ == "__main__":
    main()
