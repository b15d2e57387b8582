"""Change one place of the package at a time and see whether a test notices (doc/developers/testing.md).

    python tests/mutation.py COPY --seed 1 --count 20 [--kernels] [--only sklstm/_scaling.py] [--list]

COPY is a copy of the source tree with its kernels built in place: its files are changed, and put back.
"""

import argparse
import io
import json
import random
import re
import subprocess
import sys
import time
import tokenize
from pathlib import Path

SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "+", "/": "*",
    "//": "*", "and": "or", "or": "and", "not": "", "min": "max", "max": "min", "True": "False", "False": "True",
    "+=": "-=", "-=": "+=", "*=": "+=", "any": "all", "all": "any", "break": "continue", "&": "|", "|": "&",
    "is": "is not",
}  # fmt: skip
# A line that declares, imports or only speaks to a reader is no place.
SKIPPED = re.compile(r"^\s*(from|import|cdef extern|include|@|def |cdef (class|struct|enum)|class |#|ctypedef|cimport)")
# Where the tests of a module are, by the first prefix that fits; the rest of the suite is asked only if these notice
# nothing. Names without a folder are those of tests/test_*.py.
TESTS = {
    "_training/": "training/ continued_training partial_fit deep stateful_training sequence_targets early_stopping",
    "_network/": "network/ promises streaming streaming_states window_norm attention_weights",
    "_kernels/isa/optimizers": "training/ kernels/",
    "_kernels/isa/reductions": "training/ kernels/",
    "_kernels/isa/losses": "training/ kernels/ network/",
    "_kernels/core/threadpool": "kernels/",
    "_kernels/columns/weighted": "kernels/ feature_selection_samples",
    "_kernels/columns": "kernels/ feature_selection",
    "_kernels/isa/columns": "kernels/ feature_selection",
    "_kernels/": "network/ kernels/ promises streaming",
    "_callbacks/": "callback_objects callback_protocol callbacks checkpoints",
    "callbacks": "callback_objects callback_protocol callbacks checkpoints",
    "_exchange/": "exchange/",
    "exchange": "exchange/",
    "_inspection/": "inspection/",
    "inspection": "inspection/",
    "_network_summary": "inspection/",
    "_network_training": "n_seeds early_stopping linear_part partial_fit scoring",
    "_model_selection/": "model_selection/ horizons",
    "model_selection": "model_selection/ horizons",
    "_ridge/": "linear_part training/",
    "_linear_part": "linear_part",
    "_group_scales": "group_scaling",
    "_seeds": "n_seeds",
    "_shares": "sizes set_aside early_stopping feature_selection",
    "_snapshot": "snapshot streaming_threads",
    "_scor": "scoring weighted_scores multilabel",
    "_calibration": "conformal",
    "_cell_choice": "cells cells_estimators options",
    "cells/": "cells cells_estimators options network/",
    "_integer_steps": "quantization/",
    "quantization": "quantization/",
    "preprocessing": "preprocessing",
    "_stacked_rows": "preprocessing",
    "datasets/": "datasets/",
    "_docstrings": "docstrings",
    "_parts": "set_aside early_stopping training_part zero_weights partial_fit panels",
    "_batch_size": "sizes base",
    "_parameters": "base options bad_input callbacks",
    "_architecture_parameters": "base options bad_input",
    "_compression/": "compression/",
    "compression": "compression/",
    "_online/": "online/",
    "online": "online/",
    "cli/": "cli/",
    "_distributed/": "shared_fits/",
    "distributed": "shared_fits/",
    "_dask_collections": "works_with/",
    "_ensemble/": "ensemble/ ensemble",
    "ensemble": "ensemble/ ensemble",
    "feature_selection": "feature_selection feature_selection_inputs feature_selection_order feature_selection_samples",
    "_selection": "feature_selection feature_selection_inputs feature_selection_order feature_selection_samples",
    "_sequence_transform": "streaming_pipelines feature_selection_inputs composition",
    "_pipeline": "streaming_pipelines streaming",
    "_row": "streaming streaming_order streaming_inputs streaming_pipelines",
    "_stream": "streaming streaming_inputs streaming_states streaming_default streaming_threads streaming_pipelines",
    "streaming": "streaming streaming_inputs streaming_states streaming_default streaming_threads streaming_pipelines",
    "_dtypes": "bfloat16 base",
    "_fit": "set_aside early_stopping training_part zero_weights input_scaling running_scales partial_fit damaged "
    "continued_training base promises bad_input",
    "_answers": "sequence_targets",
    "_attention": "attention_weights options",
    "_base": "base architecture options snapshot damaged panels input_kinds deep attention_weights",
    "_targets/conformal": "conformal",
    "_targets/groups": "group_scaling",
    "_targets": "regressor classifier magnitudes running_scales poisson quantiles multilabel label_smoothing "
    "weights_of_outputs window_norm target_columns zero_weights",
    "_target_columns": "target_columns window_norm",
    "_column_positions": "known_columns target_columns time_column",
    "_rows_ahead": "decoder decoder_inputs decoder_streams horizons",
    "_fits_ahead": "decoder decoder_inputs horizons",
    "_scaling": "input_scaling running_scales magnitudes training_part input_precision",
    "_time_order": "time_order time_pairs panels decoder_inputs",
    "_validation/steps": "sequence_targets",
    "_validation": "validation input_kinds bad_input panels windows streaming streaming_inputs multilabel quantiles "
    "sizes deep",
    "_options": "options architecture sizes stateful_training sequence_targets",
    "_sequences": "sequences windows set_aside early_stopping sequence_targets",
    "_model_files": "model_files/",
    "persistence": "model_files/",
    "_pickles": "pickles",
    "regressor": "regressor regression_losses base packaging bad_input",
    "classifier": "classifier base packaging bad_input",
    "": "zero_weights training_part set_aside validation base packaging",
}
# Slow, or at the mercy of a clock that runs on while others work on the same machine.
NOT_THESE = ["benchmarks", "kernels/test_pool_stress.py", "test_sklearn_checks.py", "test_interrupts.py"]
NOT_THESE += ["network/test_signals.py", "kernels/test_isa.py"]


def places(path):
    """Return (row, column, old, new) of all changes that a file offers."""
    text, found = path.read_text(), []
    lines = text.splitlines()
    if path.suffix == ".h":
        blank = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"]*\"", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
        for row, line in enumerate(blank.splitlines()):
            if not line.lstrip().startswith("#"):
                for match in re.finditer(r"[-+*/<>=!&|]+|\b\d+\b|\b(min|max)\b", line):
                    found.append((row, match.start(), match[0]))
    else:
        reader = io.StringIO(text).readline
        for token in tokenize.generate_tokens(reader):
            if token.type in (tokenize.OP, tokenize.NAME, tokenize.NUMBER):
                found.append((token.start[0] - 1, token.start[1], token.string))
    for row, column, old in found:
        bare = lines[row][column - 1 : column + len(old) + 1] != f" {old} "
        if SKIPPED.match(lines[row]) or (path.suffix != ".py" and bare and re.search(r"[*&<>]", old)):
            continue  # without spaces a star or an ampersand of C is a pointer, and what is larger or less a cast
        if old.isdigit() and len(old) < 5:
            yield row, column, old, str(int(old) + 1)
        elif old in SWAPS and not (old == "is" and lines[row][column:].startswith("is not")):
            yield row, column, old, SWAPS[old]


def change(text, place):
    row, column, old, new = place
    lines = text.splitlines(keepends=True)
    lines[row] = lines[row][:column] + new + lines[row][column + len(old) :]
    return "".join(lines)


def run(copy, command, seconds):
    """Return None if a command succeeds, else what it said last; raises TimeoutExpired."""
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=seconds, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return None if done.returncode == 0 else (said or done.stdout.splitlines() or ["without a word"])[0]


def verdict(copy, path, is_kernel, far, seconds):
    """Return who noticed what stands in the copy now: the build, a test by its name, or nobody."""
    if is_kernel and run(copy, [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j2"], 600):
        return "the build"
    test = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    test += [f"--ignore=tests/{name}" for name in NOT_THESE]
    name = str(path.relative_to(copy / "sklstm"))
    near = next(tests for prefix, tests in TESTS.items() if name.startswith(prefix)).split()
    near = [f"tests/{one}" if one.endswith("/") else f"tests/test_{one}.py" for one in near]
    failed = run(copy, [*test, *near], seconds)
    if failed is None and far:
        failed = run(copy, [*test, "-n2", "tests"], 3 * seconds)
    return failed or "nobody"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("copy", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--kernels", action="store_true", help="the compiled part instead of the Python part")
    parser.add_argument("--only", default="", help="files whose path holds this")
    parser.add_argument("--list", action="store_true", help="show the changes, make none")
    parser.add_argument("--far", action="store_true", help="ask the whole suite where the tests nearby notice nothing")
    parser.add_argument("--seconds", type=int, default=600)
    options = parser.parse_args()
    copy = options.copy.resolve()
    suffixes = {".pyx", ".pxi", ".h"} if options.kernels else {".py"}
    files = sorted(f for f in (copy / "sklstm").rglob("*") if f.suffix in suffixes and options.only in str(f))
    offered = [(f, place) for f in files if f.name != "pool.h" for place in places(f)]
    for path, place in random.Random(options.seed).sample(offered, min(options.count, len(offered)))[options.skip :]:
        text = path.read_text()
        line = text.splitlines()[place[0]].strip()
        report = {"file": str(path.relative_to(copy)), "row": place[0] + 1, "change": place[2:], "line": line}
        if not options.list:
            begin = time.perf_counter()
            try:
                path.write_text(change(text, place))
                report["noticed by"] = verdict(copy, path, options.kernels, options.far, options.seconds)
            except subprocess.TimeoutExpired:
                report["noticed by"] = "the clock: an endless loop, or a slow machine"
            finally:
                path.write_text(text)
            report["seconds"] = round(time.perf_counter() - begin)
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
