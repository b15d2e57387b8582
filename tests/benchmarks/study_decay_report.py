"""Tables of the study of the weight decay: losses by task, and rules against constants.

A loss is relative to that of the trivial prediction. Differences between decays are means over the splits and seeds
that both have, and between the decays that were measured the loss is a straight line over the logarithm of the decay.
"""

from itertools import product
from math import ceil

import numpy as np

from sklstm._batch_size import automatic_batch_size, automatic_stateful_batch_size
from sklstm._training.weight_decay import CONSTANT, automatic_weight_decay

RATE = 1e-3
PRESENT = 0.01  # the constant that was the default
DECAYS = np.geomspace(0.01, 3.0, 16)


class Curves:
    """Losses of the tasks over the decay, at the default step size and without dropout.

    Parameters
    ----------
    lines : list of dict
        Results of the selection.
    cases : dict of str to Case
    """

    def __init__(self, lines, cases):
        self._of = {}
        for line in lines:
            self._of.setdefault((line["task"], *line["setting"]), {})[line["split"], line["seed"]] = line
        first = {line["task"]: line for line in lines}
        self.cases = {name: case for name, case in cases.items() if {PRESENT} < set(self.decays(name))}
        self.n_weights = {name: line["n_weights"] for name, line in first.items()}
        self.settings = sorted({key[1:] for key in self._of}, key=lambda key: (key[2], key[1], key[0]))

    def decays(self, task):
        """Return the decays that were measured."""
        return sorted(decay for name, decay, *more in self._of if [name, *more] == [task, RATE, 0.0])

    def present(self, task):
        """Return the mean loss under the constant that was the default."""
        lines = self._of[task, PRESENT, RATE, 0.0].values()
        return float(np.mean([line["loss"] / line["trivial"] for line in lines]))

    def change(self, task, decay, rate=RATE, dropout=0.0, *, since=PRESENT):
        """Return the change since another decay, at the default step size without dropout: mean, error, number."""
        first, second = self._of.get((task, since, RATE, 0.0), {}), self._of.get((task, decay, rate, dropout), {})
        shared = sorted(set(first) & set(second))
        found = [(second[key]["loss"] - first[key]["loss"]) / first[key]["trivial"] for key in shared]
        error = np.std(found, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
        return (float(np.mean(found)) if found else np.nan), float(error), len(found)

    def at(self, task, decay):
        """Return the loss of a task at any decay."""
        decays = self.decays(task)
        changes = [self.change(task, one)[0] for one in decays]
        return self.present(task) + float(np.interp(np.log(decay), np.log(decays), changes))

    def size(self, task):
        """Return the number of training samples, the rows per weight, the steps of an epoch, and the kind of target."""
        case = self.cases[task]
        n, sequences = case.n_samples, case.settings.get("targets") == "sequence"
        automatic = automatic_stateful_batch_size(n, 1) if sequences else automatic_batch_size(n)
        steps = ceil(n / case.settings.get("batch_size", automatic))
        return n, n / self.n_weights[task], steps, "classes" if case.is_classifier else "numbers"


def constants(_n, _share, _steps, _kind):
    """Yield constants."""
    yield from DECAYS


def by_rows(_n, share, _steps, _kind):
    """Yield rules by rows per weight: power laws within 0.01 and 3."""
    for factor, power in product(np.geomspace(0.003, 3, 13), (-1.0, -0.5, -0.25, 0.25, 0.5)):
        yield float(np.clip(factor * share**power, 0.01, 3.0))


def by_steps(_n, _share, steps, _kind):
    """Yield rules by steps: the weights are the sum over so many epochs, but no fewer than so many steps."""
    for epochs, fewest in product((10, 20, 30, 50, 100), (300, 500, 1000, 2000, 3000)):
        yield float(np.clip(1 / (RATE * max(fewest, epochs * steps)), 0.01, 3.0))


def by_kind(_n, _share, _steps, kind):
    """Yield a constant for numbers and another for classes."""
    for numbers, classes in product(DECAYS, DECAYS):
        yield numbers if kind == "numbers" else classes


def of_numbers(rules):
    """Return rules for numbers; classes keep the constant that was the default."""
    return lambda *size: (decay if size[-1] == "numbers" else PRESENT for decay in rules(*size))


FAMILIES = {
    "a constant": constants,
    "rows per weight": by_rows,
    "steps": by_steps,
    "a constant for numbers, one for classes": by_kind,
    "a constant for numbers alone": of_numbers(constants),
    "rows per weight for numbers alone": of_numbers(by_rows),
    "steps for numbers alone": of_numbers(by_steps),
}


def auto(_n, _share, steps, kind):
    """Return the rule of the estimators."""
    return automatic_weight_decay(RATE, steps) if kind == "numbers" else CONSTANT


def chosen(curves, family, *, on_other_files):
    """Return for each task the loss under the rule of a family that is best on all tasks, or on other files."""
    tables = {}
    for task, case in curves.cases.items():
        losses = [curves.at(task, decay) for decay in family(*curves.size(task))]
        tables[task] = case.family, np.array(losses)
    found = {}
    for task, (own, losses) in tables.items():
        others = [table for name, table in tables.values() if not (on_other_files and name == own)]
        found[task] = losses[np.mean(others, axis=0).argmin()]
    return found


def print_table(title, columns, lines):
    """Print a table in Markdown."""
    print(f"| {title} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, cells in lines:
        print(f"| {name.replace('|', '/')} | " + " | ".join(cells) + " |")
    print()


def by_task(curves):
    """Print the loss of each task with the constant that was the default, and the change under others."""
    decays = sorted({decay for task in curves.cases for decay in curves.decays(task)} - {PRESENT})
    lines = []
    for task in sorted(curves.cases, key=lambda name: curves.cases[name].is_classifier):
        n, share, steps, kind = curves.size(task)
        cells = [kind, f"{n}", f"{share:.2g}", f"{steps}", f"{curves.present(task):.3f}"]
        for decay in decays:
            mean, error, pairs = (100 * number for number in curves.change(task, decay))
            uncertain = f" ± {error / curves.present(task):.1f}" if pairs > 100 else ""
            cells.append(f"{mean / curves.present(task):+.1f}{uncertain}" if pairs else "")
        lines.append((task, cells))
    columns = ["target", "samples", "per weight", "steps an epoch", f"loss at {PRESENT:g}"]
    print_table("task", columns + [f"{decay:g}, change in %" for decay in decays], lines)


def by_rule(curves):
    """Print what constants and rules reach over the table, and where they are worst."""
    present = {task: curves.present(task) for task in curves.cases}
    found = {f"{PRESENT:g}, the default so far": present}
    found |= {f"{decay:g}": {task: curves.at(task, decay) for task in present} for decay in (0.1, 0.3, 1.0, 3.0)}
    for name, family in FAMILIES.items():
        found[f"by {name}"] = chosen(curves, family, on_other_files=False)
        found[f"by {name}, chosen on other files"] = chosen(curves, family, on_other_files=True)
    found['"auto"'] = {task: curves.at(task, auto(*curves.size(task))) for task in present}
    found["each task's own best"] = {t: min(curves.at(t, decay) for decay in curves.decays(t)) for t in present}
    lines = []
    for name, losses in found.items():
        ratios = {task: losses[task] / present[task] for task in present}
        worst = max(ratios, key=ratios.get)
        wins, defeats = (sum(sign * (ratio - 1) > 0.003 for ratio in ratios.values()) for sign in (-1, 1))
        cells = [f"{np.mean(list(losses.values())):.4f}", f"{np.exp(np.mean(np.log(list(ratios.values())))):.4f}"]
        cells += [f"{wins} - {defeats}", f"{ratios[worst]:.3f} ({worst.replace('|', '/')})"]
        lines.append((name, cells))
    print_table("decay", ["mean loss", "mean ratio", "wins - losses", "worst ratio"], lines)


def by_rate(curves):
    """Print what other step sizes and recurrent dropout change at the same decay, over the tasks that have them."""
    lines = []
    for decay, rate, dropout in curves.settings:
        for kind in ("numbers", "classes"):
            tasks = [task for task in curves.cases if curves.size(task)[3] == kind]
            changes = [curves.change(task, decay, rate, dropout, since=decay)[0] for task in tasks]
            changes = [change / curves.at(task, decay) for task, change in zip(tasks, changes, strict=True)]
            changes = [100 * change for change in changes if np.isfinite(change)]
            if changes and (rate, dropout) != (RATE, 0.0):
                cells = [f"{rate:g}", f"{dropout:g}", kind, f"{len(changes)}", f"{np.median(changes):+.1f}"]
                lines.append((f"{decay:g}", [*cells, f"{min(changes):+.1f}", f"{max(changes):+.1f}"]))
    columns = ["learning_rate_init", "recurrent_dropout", "target", "tasks", "median change in %", "best", "worst"]
    print_table("weight_decay", columns, lines)


def final(lines):
    """Print the losses on the test parts: mean and deviation over the seeds."""
    settings = sorted({tuple(line["setting"]) for line in lines})
    rows = []
    for task in dict.fromkeys(line["task"] for line in lines):
        own = [line for line in lines if line["task"] == task]
        cells = [f"{own[0]['trivial']:.4g}"]
        for setting in settings:
            losses = [line["loss"] for line in own if tuple(line["setting"]) == setting]
            cells.append(f"{np.mean(losses):.4g} ± {np.std(losses, ddof=1):.2g}" if len(losses) > 1 else "")
        rows.append((task, cells))
    print_table("task", ["trivial", *(f"weight_decay={setting[0]}" for setting in settings)], rows)


def report(lines, cases):
    """Print all tables."""
    curves = Curves([line for line in lines if line["stage"] == "select"], cases)
    by_task(curves)
    by_rule(curves)
    by_rate(curves)
    tests = [line for line in lines if line["stage"] == "final"]
    if tests:
        final(tests)
