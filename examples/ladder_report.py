"""Tables and picture of the ablation ladder, made of its records; ablation_ladder.py runs it."""

import numpy as np
from ladder_tasks import METRICS
from scipy import stats

REFERENCE = "LSTM"
CONFIDENCE = 0.95
NEARLY = 0.75  # colour, from 0 to 1, of what is nearly solved
DIGITS = {"accuracy": 3, "mse": 4, "rmse": 2, "bits": 2, "nats": 2}


def values(records, task, cell, name="test"):
    """Return a number of the records of a task and a cell, by seed."""
    found = [r for r in records if r["task"] == task.name and r["cell"] == cell and name in r]
    return {record["seed"]: record[name] for record in found}


def is_solved(task, value):
    """Return whether a score reaches that from which on the task counts as solved."""
    return value >= task.solved if METRICS[task.metric][2] else value <= task.solved


def progress(task, value):
    """Return the share of the way from the trivial score (0) to that of a solved task (1), within these bounds."""
    return float(np.clip((value - task.trivial) / (task.solved - task.trivial), 0, 1))


def paired_difference(first, second):
    """Return the mean of first - second over their common seeds, and half the width of its interval (NaN for one)."""
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return np.nan, np.nan
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    if len(seeds) == 1:
        return float(differences[0]), np.nan
    error = differences.std(ddof=1) / np.sqrt(len(seeds))
    return float(differences.mean()), float(error * stats.t.ppf((1 + CONFIDENCE) / 2, len(seeds) - 1))


def cells_of(records):
    """Return the cells of the records: the reference, then in the order of the mean of their progress."""
    return list(dict.fromkeys(sorted((r["cell"] for r in records), key=lambda cell: (cell != REFERENCE, cell))))


def ordered(records, tasks):
    """Return the cells, those that come nearest to solving all tasks first."""

    def mean_progress(cell):
        shares = [
            progress(task, np.mean(list(found.values()))) for task in tasks if (found := values(records, task, cell))
        ]
        return -np.mean(shares) if shares else 1.0

    return sorted(cells_of(records), key=mean_progress)


def entry(records, task, cell):
    """Return the text of a cell on a task: its mean, solved or not, and the difference to the reference."""
    found = values(records, task, cell)
    if not found:
        failed = any(r["task"] == task.name and r["cell"] == cell for r in records)
        return "failed" if failed else ""
    digits = DIGITS[task.metric]
    n_solved = sum(is_solved(task, value) for value in found.values())
    text = f"{np.mean(list(found.values())):.{digits}f}"
    if n_solved:
        text = f"**{text}**" if n_solved == len(found) else f"{text} ({n_solved} of {len(found)})"
    if cell == REFERENCE:
        return text
    difference, half = paired_difference(found, values(records, task, REFERENCE))
    if np.isnan(difference):
        return text
    mark = ""
    if abs(difference) > half:
        mark = " ▲" if (difference > 0) == METRICS[task.metric][2] else " ▼"
    interval = "" if np.isnan(half) else f" ± {half:.{digits}f}"
    return f"{text}<br>{difference:+.{digits}f}{interval}{mark}"


def grouped(tasks):
    """Return the tasks in tables of a width that can be read."""
    groups = {}
    for task in tasks:
        groups.setdefault(task.group, []).append(task)
    return groups


def table(head, rows):
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def tables(records, tasks, quick=False):
    """Return all tables: scores by group of tasks, then sizes, seconds and memory."""
    tasks = [task for task in tasks if any(r["task"] == task.name for r in records)]
    cells = ordered(records, tasks)
    texts = ["--quick: these numbers decide nothing.\n"] if quick else []
    for name, group in grouped(tasks).items():
        counts = sorted({len(values(records, task, cell)) for task in group for cell in cells} - {0})
        seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
        texts.append(f"### {name}\n\nMeans over {seeds} seed{'s' * (seeds != '1')}.\n")
        head = ["cell", *(f"{task.name}<br>{METRICS[task.metric][1]}" for task in group)]
        bounds = [("trivial", "trivial"), ("solved from", "solved")]
        rows = [[title, *(f"{getattr(t, name):.{DIGITS[t.metric]}f}" for t in group)] for title, name in bounds]
        rows.append(["that is", *(task.meaning for task in group)])
        rows += [[f"`{cell}`", *(entry(records, task, cell) for task in group)] for cell in cells]
        texts.append(table(head, rows))
    texts.append("### Cost\n")
    texts.append(cost_table(records, tasks, cells))
    return "\n".join(texts)


def cost_table(records, tasks, cells):
    """Return the table of units, multiplications, seconds and memory of each cell."""
    rows = []
    for cell in cells:
        own = [r for r in records if r["cell"] == cell]
        units = sorted({r["units"] for r in own})
        shares = sorted({r["multiplications"] / r["budget"] for r in own})
        seconds, compared, memory, solved, n_tasks = 0.0, 0.0, [], 0, 0
        for task in tasks:
            mine, other = (values(records, task, name, "seconds") for name in (cell, REFERENCE))
            seconds += np.mean(list(mine.values())) if mine else 0.0
            common = mine.keys() & other.keys()
            compared += np.log(np.mean([mine[s] / other[s] for s in common])) if common else 0.0
            n_tasks += bool(common)
            memory += values(records, task, cell, "megabytes").values()
            scores = values(records, task, cell).values()
            solved += bool(scores) and all(is_solved(task, value) for value in scores)
        relative = f"{np.exp(compared / n_tasks):.2f}" if n_tasks else ""
        row = [f"`{cell}`", f"{units[0]} to {units[-1]}", f"{shares[0]:.2f} to {shares[-1]:.2f}", str(solved)]
        rows.append([*row, f"{seconds:.1f}", relative, f"{np.median(memory):.0f}" if memory else ""])
    head = ["cell", "units", "multiplications of the budget", "tasks solved", "seconds, all tasks once"]
    return table([*head, "seconds relative to the LSTM", "MB, median"], rows)


def draw(path, records, tasks, quick=False):
    """Draw cells by tasks: dark is trivial, bright is solved, and a tick says that every seed solved it."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    tasks = [task for task in tasks if any(r["task"] == task.name for r in records)]
    cells = ordered(records, tasks)
    shares = np.full((len(cells), len(tasks)), np.nan)
    width, height = 3.2 + 0.82 * len(tasks), 2.2 + 0.42 * len(cells)
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    for i, cell in enumerate(cells):
        for k, task in enumerate(tasks):
            found = list(values(records, task, cell).values())
            if not found:
                axes.text(k, i, "–", ha="center", va="center")
                continue
            # A step in the colour between nearly and solved.
            shares[i, k] = np.mean([1.0 if is_solved(task, v) else NEARLY * progress(task, v) for v in found])
            solved = all(is_solved(task, value) for value in found)
            digits = max(2, DIGITS[task.metric] - 1)
            number = f"{np.mean(found):.{digits}f}".removeprefix("0" if np.mean(found) < 1 else "")
            text = f"✓ {number}" if solved else number
            color = "black" if shares[i, k] > 0.5 else "white"
            axes.text(
                k, i, text, ha="center", va="center", color=color, weight="bold" if solved else "normal", fontsize=9
            )
    # cividis is made to look alike with and without colour-blindness.
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(tasks)), [task.name for task in tasks], rotation=35, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(cells)), cells)
    axes.set_xticks(np.arange(len(tasks) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(cells) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.set_ticks([0, NEARLY, 1], labels=["trivial", "nearly", "solved"])
    quickly = " (--quick: decides nothing)" if quick else ""
    axes.set_xlabel(f"✓ solved with every seed; numbers are test scores, units in the tables{quickly}")
    figure.savefig(path, dpi=110)
    plt.close(figure)
