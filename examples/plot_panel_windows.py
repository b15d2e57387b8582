"""Many series in one table: which rows a prediction reads, how folds cut them, and forecasts in each one's own unit.

Three shops sell in the hundreds, the tens and the ones; their days stand one below the other in one table, and
``groups`` says whose a row is. Above left: the rows that each prediction reads (its window) never reach into another
series. Above right: the folds of `PanelTimeSeriesSplit` cut all series at the same day. Below: one network forecasts
the next day of all three; ``group_scaling`` learns each series in its own unit, where one scale for all would only see
the largest.

Run it with ``python examples/plot_panel_windows.py``. It takes seconds and writes panel_windows.png.
"""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sklstm import DeepLSTMRegressor
from sklstm.model_selection import PanelTimeSeriesSplit

SHOPS = {"city": (400.0, 420), "town": (40.0, 330), "village": (4.0, 250)}  # sales a day, number of days
LAST, WINDOW = 60, 14
COLORS = dict(zip(SHOPS, ("tab:blue", "tab:orange", "tab:green"), strict=True))


def make():
    """Return the table (sales, day of the week twice), the sales of the next day, the shop and the day of each row."""
    rng = np.random.default_rng(1)
    tables, targets, groups, days = [], [], [], []
    for name, (level, n) in SHOPS.items():
        day = np.arange(420 - n, 421)  # the last day is a target only
        week = 1.0 + 0.35 * np.sin(2 * np.pi * day / 7) + 0.2 * np.sin(2 * np.pi * day / 90)
        sales = level * week * np.exp(0.08 * rng.normal(size=len(day)))
        ahead = 2 * np.pi * (day + 1) / 7
        tables.append(np.column_stack([sales, np.sin(ahead), np.cos(ahead)])[:-1])
        targets.append(sales[1:])
        groups += [name] * n
        days.append(day[:-1])
    return np.concatenate(tables), np.concatenate(targets), np.array(groups), np.concatenate(days)


def draw_windows(ax, groups):
    """Draw which rows the prediction of each row reads, around the ends of the series."""
    for name in SHOPS:
        rows = np.flatnonzero(groups == name)
        first = np.maximum(rows - WINDOW + 1, rows[0])
        ax.barh(rows, rows - first + 1, left=first - 0.5, height=1.0, color=COLORS[name], label=name)
        ax.axhline(rows[0], color="black", linewidth=0.5)
        ax.axvline(rows[0], color="black", linewidth=0.5)
    border = np.flatnonzero(groups == "town")[0]
    ax.set(xlim=(border - 30, border + 30), ylim=(border + 30, border - 30))
    ax.set(title="Rows that a prediction reads", xlabel="Row of the table", ylabel="Row of the prediction")


def draw_folds(ax, X, groups, days):
    """Draw the days of each series that each fold trains on and tests."""
    ticks = []
    for k, (train, test) in enumerate(PanelTimeSeriesSplit(3, times=days, gap=7).split(X, groups=groups)):
        for i, name in enumerate(SHOPS):
            y = 4 * k + i
            for part, alpha in ((train, 0.35), (test, 1.0)):
                own = part[groups[part] == name]
                ax.plot(days[own], np.full(len(own), y), "|", color=COLORS[name], alpha=alpha)
            ticks.append((y, f"{name}, fold {k + 1}"))
    ax.set(title="Folds: pale is trained on, a week is left out", xlabel="Day")
    ax.set_yticks(*zip(*ticks, strict=True), fontsize="small")
    ax.invert_yaxis()


def main():
    """Train, compare, draw."""
    X, y, groups, days = make()
    test = np.concatenate([np.flatnonzero(groups == name)[-LAST:] for name in SHOPS])
    train = np.setdiff1d(np.arange(len(X)), test)
    context, context_groups = X[train], groups[train]

    figure = plt.figure(figsize=(14, 9), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    draw_windows(figure.add_subplot(grid[0, :3]), groups)
    draw_folds(figure.add_subplot(grid[0, 3:]), X, groups, days)
    answers = {}
    for scaling in (None, "standard"):
        model = DeepLSTMRegressor(
            16, sequence_length=WINDOW, target_column=0, group_scaling=scaling, early_stopping=False,
            learning_rate_init=1e-2, learning_rate="one_cycle", max_iter=40, random_state=0,
        )  # fmt: skip
        model.fit(X[train], y[train], groups=groups[train])
        answers[scaling] = model.predict(X[test], groups=groups[test], context=context, context_groups=context_groups)
    for k, name in enumerate(SHOPS):
        ax, own = figure.add_subplot(grid[1, 2 * k : 2 * k + 2]), groups[test] == name
        ax.plot(days[test][own] + 1, y[test][own], color="black", linewidth=1, label="Truth")
        for scaling, style in ((None, ":"), ("standard", "-")):
            error = np.mean(np.abs(answers[scaling][own] - y[test][own])) / SHOPS[name][0]
            label = f"group_scaling={scaling!r}: {100 * error:.0f} %"
            ax.plot(days[test][own] + 1, answers[scaling][own], style, color=COLORS[name], label=label)
            print(f"{name}, group_scaling={scaling!r}: mean error {100 * error:.1f} % of the level")
        ax.set(title=f"Sales of the {name}", xlabel="Day")
        ax.margins(y=0.4)
        ax.legend(loc="upper left", fontsize="small")
    figure.savefig("panel_windows.png", dpi=110)
    print("panel_windows.png written")


if __name__ == "__main__":
    main()
