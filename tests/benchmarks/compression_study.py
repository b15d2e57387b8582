"""Measure what compression saves and costs: ``python compression_study.py DATA [prune|distill|low_rank|strassen]``.

DATA is the folder of the files (or the environment variable SKLSTM_STUDY_DATA). Each part prints its tables in
Markdown; all of them run on one thread, and times are the shortest of several turns, in seconds of the processor.
Networks are fitted on the training part of a set (of a table on its last 6,000 rows) and scored on its test part: the
root of the mean squared error, or the share of wrong labels.
"""

import argparse
import io
import os
import statistics
import time
from functools import partial

import joblib
import numpy as np
from defaults_study import pick
from sklearn.base import clone
from study_baselines import loss
from study_tasks import load_tasks
from threadpoolctl import threadpool_limits
from timing import CLOCKS, interleave, side_summary
from timing import Side as AnySide

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm.cells import LSTM
from sklstm.compression import distill, factorize, prune

# Seconds of the processor: other programs of the machine do not count.
Side = partial(AnySide, timer=CLOCKS["cpu"])
SEEDS = (0, 1, 2)
MORE_EPOCHS = 5
FIT_ROWS = 6000
SETS = ("ETTh1 oil +24 h", "Elec2", "JapaneseVowels")


class Set:
    """A task with what a network is fitted on and scored by."""

    def __init__(self, task):
        self.task, (rows, self.test_rows) = task, task.final
        rows = rows[-FIT_ROWS:] if task.is_table else rows
        self.X, self.y = pick(task.X, rows), task.y[rows]

    def make(self, hidden_size, seed, **parameters):
        """Return a network that is not fitted."""
        kind = DeepLSTMClassifier if self.task.classify else DeepLSTMRegressor
        length = self.task.sequence_length
        fixed = {"sequence_length": length, "weight_decay": 0.01, "n_jobs": 1}
        return kind(hidden_size, random_state=seed, **fixed, **parameters)

    def ensemble(self, members):
        """Return the mean of some networks, not fitted."""
        kind = WeightedEnsembleClassifier if self.task.classify else WeightedEnsembleRegressor
        return kind([(f"m{k}", member) for k, member in enumerate(members)])

    def score(self, model):
        """Return the loss on the test part."""
        if self.task.is_table:  # the windows of the first rows reach into the rows before
            predicted = model.predict(self.task.X)[self.test_rows]
        else:
            predicted = model.predict(pick(self.task.X, self.test_rows))
        return loss(self.task, self.task.y[self.test_rows], predicted)

    def trained_on(self, model, epochs=MORE_EPOCHS):
        """Train a model for some more epochs and return it."""
        for _ in range(epochs):
            model.partial_fit(self.X, self.y)
        return model


def mean_and_each(values):
    """Return the mean and the single values as text."""
    digits = 3 if max(values) < 10 else 2
    return f"{statistics.mean(values):.{digits}f} ({' '.join(f'{value:.{digits}f}' for value in values)})"


def print_table(columns, rows):
    """Print a table in Markdown."""
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print()


def compressed_size(model):
    """Return the bytes of a file that joblib compresses."""
    file = io.BytesIO()
    joblib.dump(model, file, compress=3)
    return len(file.getvalue())


def number_of_weights(model):
    """Return the weights of all matrices."""
    return sum(array.size for name, array in model.parameters_.items() if name.startswith("weight_"))


# Pruning


def prune_study(tasks):
    """Print the losses of pruned networks, of each threshold, without and with some more epochs."""
    for name in SETS:
        data = Set(tasks[name])
        models = [data.make(64, seed).fit(data.X, data.y) for seed in SEEDS]
        rows = [["0 %", "", mean_and_each([data.score(model) for model in models]), after(data, models)]]
        for fraction in (0.5, 0.8, 0.9, 0.95):
            for threshold in ("global", "matrix"):
                pruned = [prune(model, fraction, threshold=threshold) for model in models]
                scores = mean_and_each([data.score(model) for model in pruned])
                rows.append([f"{fraction:.0%}", threshold, scores, after(data, pruned)])
        for fraction in (0.9, 0.95):
            rows.append([f"{fraction:.0%}", "global, in 5 steps", "", gradually(data, models, fraction)])
        left = number_of_weights(models[0]) // 10
        width = next(
            n for n in range(1, 64) if number_of_weights(data.make(n + 1, 0, max_iter=1).fit(data.X, data.y)) > left
        )
        small = [data.make(width, seed).fit(data.X, data.y) for seed in SEEDS]
        rows.append(
            [f"1x{width}, dense", "", mean_and_each([data.score(model) for model in small]), after(data, small)]
        )
        print(f"{name}, 1x64 ({number_of_weights(models[0])} weights)\n")
        print_table(["zeros", "threshold", "at once", f"after {MORE_EPOCHS} more epochs"], rows)
        if name == "ETTh1 oil +24 h":
            files_and_times(data, models[0])


def after(data, models):
    """Return the losses of copies that are trained for some more epochs."""
    return mean_and_each([data.score(data.trained_on(joblib_copy(model))) for model in models])


def joblib_copy(model):
    """Return a copy of a fitted model."""
    return prune(model, 0.0) if not hasattr(model, "sparsity_") else prune(model, model.sparsity_)


def gradually(data, models, fraction):
    """Prune some more weights before each of the epochs, by the cubic rule of Zhu and Gupta (2017)."""
    scores = []
    for model in models:
        for step in range(1, MORE_EPOCHS + 1):
            model = prune(model, fraction * (1 - (1 - step / MORE_EPOCHS) ** 3))
            model.partial_fit(data.X, data.y)
        scores.append(data.score(model))
    return mean_and_each(scores)


def files_and_times(data, model):
    """Print what a file takes, and a prediction."""
    models = {"0 %": model} | {f"{fraction:.0%}": prune(model, fraction) for fraction in (0.5, 0.8, 0.9, 0.95)}
    table = data.task.X[:5000]
    sides = [Side(lambda one=one: one.predict(table)) for one in models.values()]
    interleave(sides, 2.0, 5)
    sizes = {name: compressed_size(one) for name, one in models.items()}
    rows = [
        [
            name,
            f"{sizes[name] / 1000:.1f}",
            f"{sizes['0 %'] / sizes[name]:.1f}",
            f"{1e3 * side_summary(side)['min']:.1f}",
        ]
        for name, side in zip(models, sides, strict=True)
    ]
    print_table(["zeros", "compressed file, kB", "times smaller", "`predict` of 5,000 rows, ms"], rows)


# Distillation


def distill_study(tasks):
    """Print the losses of students that learn alone and from two teachers."""
    for name in SETS:
        data = Set(tasks[name])
        teachers = {
            "2x128": data.make(128, 0, n_layers=2, dropout=0.2).fit(data.X, data.y),
            "4 of 1x64": data.ensemble([data.make(64, seed) for seed in range(4)]).fit(data.X, data.y),
        }
        students = [data.make(16, seed) for seed in SEEDS]
        alone = [clone(student).fit(data.X, data.y) for student in students]
        rows = [["none", "", "", mean_and_each([data.score(model) for model in alone])]]
        temperatures = (1.0, 2.0, 5.0) if data.task.classify else (None,)
        for teacher_name, teacher in teachers.items():
            rows.append([f"**{teacher_name}** itself", "", "", f"{data.score(teacher):.3f}"])
            for alpha in (0.5, 0.0):
                for temperature in temperatures:
                    options = {"alpha": alpha} | ({} if temperature is None else {"temperature": temperature})
                    fitted = [distill(teacher, student, data.X, data.y, **options) for student in students]
                    scores = mean_and_each([data.score(model) for model in fitted])
                    rows.append([teacher_name, alpha, temperature or "", scores])
        print(f"{name}: students of 1x16\n")
        print_table(["teacher", "alpha", "temperature", "loss"], rows)
        sizes = [(label, model) for label, model in (("2x128", teachers["2x128"]), ("1x16", alone[0]))]
        times(data, sizes)


def times(data, named):
    """Print the seconds of a step and the size of a file of some networks."""
    row = (data.task.X[:1] if data.task.is_table else pick(data.task.X, [0])[0][:1])[0].astype(np.float64)
    streams = [model.stream(window=False) for _, model in named]
    sides = [Side(lambda one=one: [one.step(row) for _ in range(100)], repeats=100) for one in streams]
    interleave(sides, 1.0, 5)
    rows = [
        [name, f"{compressed_size(model) / 1000:.1f}", f"{1e6 * side_summary(side)['min']:.1f}"]
        for (name, model), side in zip(named, sides, strict=True)
    ]
    print_table(["network", "compressed file, kB", "a step of a stream, us"], rows)


# Low rank


def kept_norm(matrix, rank):
    """Return the share of the Frobenius norm in the best approximation of a rank."""
    values = np.linalg.svd(matrix.astype(np.float64))[1]
    return float(np.sqrt((values[:rank] ** 2).sum() / (values**2).sum()))


def low_rank_study(tasks):
    """Print what is left of trained weights, and the losses of factorised networks."""
    rows = []
    for name in SETS:
        data = Set(tasks[name])
        for size in (64,) if name == "Elec2" else (64, 128):
            model = data.make(size, 0).fit(data.X, data.y)
            fresh = data.make(size, 0, max_iter=1, learning_rate_init=1e-12).fit(data.X, data.y)
            for label, one in (("at the start", fresh), ("trained", model)):
                weights = one.parameters_["weight_hh_l0"]
                shares = [f"{kept_norm(weights, size * k // 8):.3f}" for k in (1, 2, 4, 6)]
                rows.append([name, f"1x{size}", label, *shares])
    print_table(["set", "network", "W_hh", "1/8 of the rank", "1/4", "1/2", "3/4"], rows)
    for name in SETS[:2]:
        data = Set(tasks[name])
        models = [data.make(64, seed).fit(data.X, data.y) for seed in SEEDS]
        rows = [["none", "", "", mean_and_each([data.score(model) for model in models]), after(data, models), ""]]
        for rank in (8, 16, 32):
            smaller = [factorize(model, rank) for model in models]
            scores = mean_and_each([data.score(model) for model in smaller])
            trained = mean_and_each([data.score(data.trained_on(model)) for model in smaller])
            own = [data.make(64, seed, cell=LSTM(projection_size=rank)).fit(data.X, data.y) for seed in SEEDS]
            error, saved = smaller[0].factorization_error_[0], smaller[0].operations_saved_
            rows.append(
                [rank, f"{error:.2f}", f"{saved:.0%}", scores, trained, mean_and_each([data.score(m) for m in own])]
            )
        print(f"{name}, 1x64\n")
        columns = ["rank", "error of the weights", "operations saved", "at once", f"after {MORE_EPOCHS} more epochs"]
        print_table([*columns, "projection from the start"], rows)
    low_rank_times(Set(tasks["ETTh1 oil +24 h"]))


def low_rank_times(data):
    """Print the milliseconds of a prediction with and without a projection."""
    rows, table = [], data.task.X[:2000]
    for size, ranks in ((64, (16, 32)), (256, (64, 128))):
        model = data.make(size, 0, max_iter=1).fit(data.X[:500], data.y[:500])
        models = {"none": model} | {rank: factorize(model, rank) for rank in ranks}
        calls = [Side(lambda one=one: one.predict(table)) for one in models.values()]
        interleave(calls, 2.0, 5)
        streams = [one.stream(window=False) for one in models.values()]
        steps = [Side(lambda one=one: [one.step(table[0]) for _ in range(50)], repeats=50) for one in streams]
        interleave(steps, 1.0, 5)
        for (rank, one), call, step in zip(models.items(), calls, steps, strict=True):
            saved = f"{getattr(one, 'operations_saved_', 0):.0%}"
            call, step = (side_summary(side)["min"] for side in (call, step))
            rows.append([f"1x{size}", rank, saved, f"{1e3 * call:.1f}", f"{1e6 * step:.1f}"])
    print_table(["network", "rank", "operations saved", "`predict` of 2,000 rows, ms", "a step of a stream, us"], rows)


# Strassen


class Strassen:
    """One level of Strassen's algorithm (1969) with seven products by BLAS, in buffers that exist already."""

    def __init__(self, n):
        self._half = n // 2
        self._a, self._b, self._product = (np.empty((n // 2, n // 2), np.float32) for _ in range(3))

    def multiply(self, a, b, out):
        """Write ``a @ b`` to `out`."""
        h = self._half
        a11, a12, a21, a22 = a[:h, :h], a[:h, h:], a[h:, :h], a[h:, h:]
        b11, b12, b21, b22 = b[:h, :h], b[:h, h:], b[h:, :h], b[h:, h:]
        c11, c12, c21, c22 = out[:h, :h], out[:h, h:], out[h:, :h], out[h:, h:]
        left, right, m = self._a, self._b, self._product
        np.matmul(np.add(a11, a22, out=left), np.add(b11, b22, out=right), out=m)
        c11[:] = m
        c22[:] = m
        np.matmul(np.add(a21, a22, out=left), b11, out=m)
        c21[:] = m
        c22 -= m
        np.matmul(a11, np.subtract(b12, b22, out=right), out=m)
        c12[:] = m
        c22 += m
        np.matmul(a22, np.subtract(b21, b11, out=right), out=m)
        c11 += m
        c21 += m
        np.matmul(np.add(a11, a12, out=left), b22, out=m)
        c12 += m
        c11 -= m
        np.matmul(np.subtract(a21, a11, out=left), np.add(b11, b12, out=right), out=m)
        c22 += m
        np.matmul(np.subtract(a12, a22, out=left), np.add(b21, b22, out=right), out=m)
        c11 += m
        return out


def strassen_study(_tasks):
    """Print the times and errors of one level of Strassen beside BLAS, on one thread."""
    rows = []
    with threadpool_limits(1):
        for n in (512, 1024, 2048):
            rng = np.random.default_rng(0)
            a, b = (rng.normal(size=(n, n)).astype(np.float32) for _ in range(2))
            out, other = np.empty_like(a), np.empty_like(a)
            strassen = Strassen(n)
            sides = [Side(partial(np.matmul, a, b, out=out)), Side(partial(strassen.multiply, a, b, other))]
            began = time.perf_counter()
            interleave(sides, 4.0, 7)
            exact = a.astype(np.float64) @ b.astype(np.float64)
            blas, ours = (side_summary(side)["min"] for side in sides)
            errors = [np.linalg.norm(found - exact) / np.linalg.norm(exact) for found in (out, other)]
            rows.append(
                [n, f"{1e3 * blas:.2f}", f"{1e3 * ours:.2f}", f"{blas / ours:.2f}x"]
                + [f"{error:.1e}" for error in errors]
                + [f"{errors[1] / errors[0]:.1f}", f"{time.perf_counter() - began:.0f}"]
            )
    print_table(
        ["n", "BLAS, ms", "Strassen, ms", "speed", "error of BLAS", "of Strassen", "ratio", "s measured"],
        rows,
    )


STUDIES = {"prune": prune_study, "distill": distill_study, "low_rank": low_rank_study, "strassen": strassen_study}


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("SKLSTM_STUDY_DATA"))
    parser.add_argument("parts", nargs="*", default=list(STUDIES))
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data are: DATA or SKLSTM_STUDY_DATA")
    tasks = load_tasks(arguments.data)
    for part in arguments.parts:
        began = time.perf_counter()
        print(f"## {part}\n", flush=True)
        STUDIES[part](tasks)
        print(f"({time.perf_counter() - began:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
