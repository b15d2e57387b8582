"""Study weight decay, step size and recurrent dropout together: ``python decay_study.py DATA [select|final|report]``.

DATA is the folder of the files (or the environment variable SKLSTM_STUDY_DATA). `select` fits on the first rows of the
training part of every task and scores on its last; `final` fits the estimators with two decays on the whole training
part and scores on the test part; `report` prints the tables, in Markdown. Results are kept, one line a fit, in the
file of ``--results``, and what it holds already is not measured again.
"""

import argparse
import json
import os
import time
import warnings
from itertools import product
from pathlib import Path

from study_decay_report import report
from study_decay_tasks import load_cases

# Weight decay, step size, recurrent dropout and seed.
PLAN = [
    *product([0.01, 0.1, 0.3, 1.0, 3.0], [1e-3], [0.0], [0]),
    *product([0.01, 0.3, 1.0], [1e-3], [0.0], [1]),
    *product([0.01, 0.3], [3e-3], [0.0], [0]),
    *product([0.01, 1.0], [1e-3], [0.25], [0]),
]
# Of the cases with many steps in an epoch.
PLAN_OF_LONG_EPOCHS = [*product([0.01, 0.1, 0.3, 1.0], [1e-3], [0.0], [0])]
FINAL = [*product([0.01, 1.0], [1e-3], [0.0], [0, 1, 2])]


def measure(case, stage, setting, split, seed):
    """Return one line of the results."""
    decay, rate, dropout = setting
    parameters = {"weight_decay": decay, "learning_rate_init": rate, "recurrent_dropout": dropout, "n_jobs": 1}
    if case.task.sequence_length == 1:
        del parameters["recurrent_dropout"]
    began = time.process_time()
    model = case.fit(stage, split, {**parameters, "random_state": seed})
    seconds = time.process_time() - began
    loss, wrong, trivial = case.losses(model, stage, split)
    matrices = (array for name, array in model.parameters_.items() if array.ndim > 1 and name != "weight_skip")
    return {
        "task": case.name,
        "stage": stage,
        "setting": list(setting),
        "split": split,
        "seed": seed,
        "loss": loss,
        "wrong": wrong,
        "trivial": trivial,
        "n_weights": sum(array.size for array in matrices),
        "n_iter": model.n_iter_,
        "best": model.best_iteration_,
        "skip_score": getattr(model, "skip_score_", None),
        "best_score": model.best_validation_score_,
        "decay": model.weight_decay_,
        "seconds": round(seconds, 2),
    }


def jobs(cases, stage):
    """List all fits of a stage; every split has seeds of its own."""
    plans = [(FINAL, False)] if stage == "final" else [(PLAN, False), (PLAN_OF_LONG_EPOCHS, True)]
    for plan, long in plans:
        for (*setting, seed), case in product(plan, cases.values()):
            n_splits = case.n_splits() if stage == "select" else 1
            if case.has_long_epochs == long:
                for split in range(n_splits):
                    yield case, stage, tuple(setting), split, n_splits * seed + split


def read(path):
    """Return the lines of the file of results."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def run(cases, stage, path):
    """Measure what the file of results does not hold yet."""
    names = ("task", "stage", "setting", "split", "seed")
    done = {json.dumps([line[name] for name in names]) for line in read(path)}
    todo = [job for job in jobs(cases, stage) if json.dumps([job[0].name, *job[1:]]) not in done]
    with open(path, "a", encoding="utf-8") as file:
        for number, job in enumerate(todo, 1):
            file.write(json.dumps(measure(*job)) + "\n")
            file.flush()
            print(f"{number}/{len(todo)}", job[0].name, job[2], flush=True)


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("SKLSTM_STUDY_DATA"))
    parser.add_argument("stage", nargs="?", choices=["select", "final", "report"], default="report")
    parser.add_argument("--results", type=Path, default=Path("decay_study.jsonl"))
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data are: DATA or SKLSTM_STUDY_DATA")
    cases = load_cases(arguments.data)
    if arguments.stage == "report":
        report(read(arguments.results), cases)
        return
    warnings.filterwarnings("ignore", message=".*deviation of y.*")  # changes are smaller than levels
    run(cases, arguments.stage, arguments.results)


if __name__ == "__main__":
    main()
