"""Read model files that were changed at random: cut off, flipped, overwritten, with other headers and values.

    PYTHONPATH=tests python tests/reliability/mutated_model_files.py [--count 10000] [--seed 0]

Each file must be refused by a ModelFormatError, but for those in which nothing was changed, and those that somebody
could have made on purpose, with a right checksum: these may be read, and then answer or raise. Nothing may crash, hang,
or take more than twice the size of the file, or 8 MB beside the arrays. A child process reads, so that a crash shows.
"""

import argparse
import collections
import multiprocessing
import resource
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
from model_case import MODELS, X, Y, answers, regressor
from model_mutations import ALLOWANCE, KINDS, Mutations, read

from sklstm import save_model

NAMES = (
    *("seeds in parts", "schedule free", "objects", "int16", "carried groups", "mixed labels", "conformal", "panel"),
    *("window norm", "ensemble", "learned weights", "pipeline", "selector", "labels in parts", "decoder", "large"),
    *("collection", "collection in a pipeline"),
)
SHARE = 300  # mutations that a child process reads


def large():
    """Return a model whose file has some megabytes."""
    return regressor(hidden_size=400).fit(X, Y)


def run_share(name, folder, first, count, queue):
    """Read some mutations of one file, and tell the queue what came of each."""
    limit = 8 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("ignore")
    original = (folder / f"{name}.safetensors").read_bytes()
    tracemalloc.start()
    for k in range(first, first + count):
        mutations, kind = Mutations(original, k), KINDS[k % len(KINDS)]
        content = getattr(mutations, kind)()
        outcome, peak = read(folder / "changed", kind, content, original, lambda model: ask(name, model))
        queue.put((name, k, kind, outcome, peak, len(content)))
    queue.put(None)


def ask(name, model):
    """Let a model answer."""
    for answer in answers("default" if name == "large" else name, model).values():
        if not np.isfinite(np.asarray(answer, float)).all():
            raise ValueError("answers that are not finite")


def main():
    """Make the files and mutations, and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes, failures, largest, ratio = collections.Counter(), [], 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        warnings.simplefilter("ignore")
        for name in NAMES:
            save_model(large() if name == "large" else MODELS[name](), folder / f"{name}.safetensors")
        first, context = options.seed * 1_000_000, multiprocessing.get_context("spawn")
        for share, begin in enumerate(range(0, options.count, SHARE)):
            name, queue, count = (
                NAMES[(share + 5 * options.seed) % len(NAMES)],
                context.Queue(),
                min(SHARE, options.count - begin),
            )
            child = context.Process(target=run_share, args=(name, folder, first + begin, count, queue))
            child.start()
            last = None
            while True:
                try:
                    found = queue.get(timeout=300)
                except Exception:
                    failures.append((name, last, f"WRONG: the process ended with {child.exitcode}"))
                    break
                if found is None:
                    break
                name, last, kind, outcome, peak, size = found
                outcomes[kind, outcome.split(":")[0]] += 1
                if outcome.startswith("WRONG"):
                    failures.append((name, last, kind, outcome))
                if peak > max(2 * size, size + ALLOWANCE):
                    failures.append((name, last, kind, f"{peak} bytes of memory for a file of {size}"))
                largest = max(largest, peak - size)
                ratio = max(ratio, peak / size) if size > 2_000_000 else ratio
            child.kill() if child.is_alive() and failures else child.join()
    for (kind, outcome), n in sorted(outcomes.items()):
        print(f"{kind:15} {outcome:24} {n}")
    print(f"{sum(outcomes.values())} files, {len(failures)} failures")
    print(f"memory: at most {ratio:.2f} times files above 2 MB, at most {largest / 1e6:.2f} MB above the size of any")
    for failure in failures[:20]:
        print(failure)
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
