"""Model files that were changed at random; tests/reliability/mutated_model_files.py reads many more of them."""

import tracemalloc

import numpy as np
import pytest
from model_case import MODELS, X, Y, answers
from model_mutations import ALLOWANCE, KINDS, Mutations, read

from sklstm import load_model, save_model


@pytest.mark.parametrize("name", ["seeds in parts", "objects", "learned weights"])
@pytest.mark.filterwarnings("ignore")
def test_a_changed_file_is_refused_or_answers(name, tmp_path):
    """No other error, no hang, and no more memory than the promise has room for."""
    save_model(MODELS[name](), tmp_path / "model")
    original = (tmp_path / "model").read_bytes()
    tracemalloc.start()
    found = {}
    for k in range(100):
        kind = KINDS[k % len(KINDS)]
        content = getattr(Mutations(original, k), kind)()
        outcome, peak = read(tmp_path / "changed", kind, content, original, lambda model: ask(name, model))
        assert not outcome.startswith("WRONG"), (k, kind, outcome)
        assert peak <= max(2 * len(content), len(content) + ALLOWANCE), (k, kind, peak)
        found.setdefault(kind, set()).add(outcome)
    tracemalloc.stop()
    assert all("refused" in outcomes for outcomes in found.values())


def ask(name, model):
    for answer in answers(name, model).values():
        np.asarray(answer, float) if name != "objects" else np.asarray(answer)


def test_memory_of_a_large_file(tmp_path):
    model = MODELS["default"]().set_params(hidden_size=500)
    save_model(model.fit(X, Y), tmp_path / "model")
    size = (tmp_path / "model").stat().st_size
    assert size > 4_000_000
    tracemalloc.start()
    load_model(tmp_path / "model")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * size
