"""`n_seeds`: several networks that are trained alike, and the mean of their answers."""

import copy
import pickle
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from estimator_case import parameters_equal
from scipy.special import softmax
from test_interrupts import needs_posix

from sklstm import DeepRNNClassifier, DeepRNNRegressor, quantize
from sklstm._seeds import draw_seeds, singles
from sklstm._training.divergence import Divergence
from sklstm._training.passes import WindowPasses
from sklstm.compression import distill, factorize, prune

THREE = {"n_seeds": 3, "hidden_size": 4, "learning_rate_init": 0.02}


def three(case, **parameters):
    return case.make(**{**THREE, **parameters})


def names(case):
    return ["predict", "transform", *["predict_proba", "predict_log_proba"] * case.is_classifier]


# Training


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "schedule_free", "dtype": "float64"}])
def test_each_network_is_that_of_its_seed(case, options):
    """The first that of `n_seeds` = 1; the others do not depend on their number."""
    alone, two, model = (three(case, **options, n_seeds=n).fit(case.X, case.y) for n in (1, 2, 3))
    assert len(model.other_networks_) == 2
    assert not hasattr(alone, "other_networks_")
    assert parameters_equal(alone, model)
    assert model.loss_curve_ == alone.loss_curve_
    for one in (singles(two), singles(model)[:2]):
        assert [m.loss_curve_ for m in one] == [model.loss_curve_, model.other_networks_[0]["loss_curve_"]]
    curves = [one.loss_curve_ for one in singles(model)]
    assert len({tuple(curve) for curve in curves}) == 3
    seed = draw_seeds(0, 3)[2]
    assert [one._training_state["seed"] for one in singles(model)][2] == seed


def test_seeds_differ():
    class Repeats(np.random.RandomState):
        """Each number comes twice."""

        def randint(self, *arguments):
            self.last = None if getattr(self, "last", None) is not None else super().randint(*arguments)
            self.number = self.number if self.last is None else self.last
            return self.number

    assert len(set(draw_seeds(Repeats(0), 5))) == 5
    assert draw_seeds(7, 1) == draw_seeds(7, 4)[:1]
    assert draw_seeds(7, 1) == [int(np.random.RandomState(7).randint(2**31 - 1))]


@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "scoring": "r2"}, {"recurrent_dropout": 0.2}])
def test_the_number_of_threads_changes_no_bit(regressor, options):
    models = [three(regressor, **options, n_jobs=n).fit(regressor.X, regressor.y) for n in (1, 2, 3, 8)]
    for model in models[1:]:
        for one, other in zip(singles(models[0]), singles(model), strict=True):
            assert parameters_equal(one, other)
            assert one.validation_scores_ == other.validation_scores_
    assert threading.active_count() == len([t for t in threading.enumerate() if not t.name.startswith("sklstm-seed")])


def test_attributes_of_all_networks(case):
    model = three(case, early_stopping=True).fit(case.X, case.y)
    for one in model.other_networks_:
        assert one["n_iter_"] == len(one["loss_curve_"]) == len(one["validation_scores_"]) == 3
        assert one["best_validation_score_"] == max(one["validation_scores_"])
        assert one["best_loss_"] is None
        assert not any(array.flags.writeable for array in one["parameters_"].values())


def test_training_goes_on_with_each(case):
    """n calls of `partial_fit` are n epochs, and a warm start goes on as that of each network."""
    options = {"early_stopping": False, "max_grad_norm": "adaptive"}
    whole, parts = three(case, **options, max_iter=2).fit(case.X, case.y), three(case, **options)
    for _ in range(2):
        parts.partial_fit(case.X, case.y)
    again = three(case, **options, max_iter=1, warm_start=True).fit(case.X, case.y).fit(case.X, case.y)
    assert again.n_iter_ == again.other_networks_[1]["n_iter_"] == 2
    for one, other, third in zip(singles(whole), singles(parts), singles(again), strict=True):
        assert parameters_equal(one, other)
        assert one.loss_curve_ == other.loss_curve_
        assert len(third.loss_curve_) == 2
    for n in (2, 1):
        with pytest.raises(ValueError, match=f"training cannot go on with n_seeds={n}: the estimator holds 3 networks"):
            parts.set_params(n_seeds=n).partial_fit(case.X, case.y)


def test_a_fit_forgets_the_networks_before(case):
    model = three(case).fit(case.X, case.y).set_params(n_seeds=1).fit(case.X, case.y)
    assert not hasattr(model, "other_networks_")
    assert np.array_equal(case.output(model, case.X), case.output(three(case, n_seeds=1).fit(case.X, case.y), case.X))


def test_the_head_of_each_follows_the_scale_of_the_targets(regressor):
    """A block of targets on a scale of its own: the answers stay until the next step."""
    model = three(regressor).partial_fit(regressor.X, regressor.y)
    expected = [one.predict(regressor.X) for one in singles(model)]
    model.set_params(learning_rate_init=1e-300).partial_fit(regressor.X, 100.0 * regressor.y)
    for one, before in zip(singles(model), expected, strict=True):
        np.testing.assert_allclose(one.predict(regressor.X), before, rtol=1e-4)


# Answers


@pytest.mark.parametrize("kind", ["table", "groups", "array", "ragged"])
def test_the_mean_of_the_answers_of_each(case, kind):
    X, y = {"array": (case.array, case.array_y), "ragged": (case.ragged, case.ragged_y)}.get(kind, (case.X, case.y))
    groups = {"groups": case.groups} if kind == "groups" else {}
    model = three(case).fit(X, y, **groups)
    answers = [case.output(one, X, **groups) for one in singles(model)]
    np.testing.assert_allclose(case.output(model, X, **groups), np.mean(answers, axis=0), rtol=1e-12)
    hidden = [one.transform(X, **groups) for one in singles(model)]
    assert np.array_equal(model.transform(X, **groups), np.hstack(hidden))
    assert len(model.get_feature_names_out()) == 12
    if case.is_classifier:
        mean = np.mean(answers, axis=0)
        assert np.array_equal(model.predict(X, **groups), model.classes_[mean.argmax(axis=1)])
        np.testing.assert_allclose(model.predict_log_proba(X, **groups), np.log(mean), rtol=1e-10)


def test_other_targets(regressor, classifier):
    X = regressor.X
    several = X[:, :2] * [1.0, 100.0]
    kinds = [
        (DeepRNNRegressor, several, {}, "predict"),
        (DeepRNNRegressor, several, {"loss": "quantile", "quantile": [0.2, 0.5, 0.8]}, "predict_quantiles"),
        (DeepRNNRegressor, X[:, 0], {"loss": "quantile", "quantile": [0.2, 0.5, 0.8]}, "predict"),
        (DeepRNNRegressor, np.floor(np.exp(X[:, 0])), {"loss": "poisson"}, "predict"),
        (DeepRNNRegressor, X[:, 1], {"window_norm": "standard", "target_column": 1}, "predict"),
        (DeepRNNRegressor, X[:, 0], {"training": "stateful", "shuffle": False}, "predict"),
        (DeepRNNClassifier, (X[:, :2] > 0).astype(int), {}, "predict_proba"),
        (DeepRNNClassifier, np.digitize(X[:, 0], [-0.5, 0.5]), {}, "predict_proba"),
    ]
    for kind, y, options, method in kinds:
        model = kind(**{**THREE, "sequence_length": 5, "max_iter": 2, "random_state": 0}, **options).fit(X, y)
        answers = [getattr(one, method)(X) for one in singles(model)]
        np.testing.assert_allclose(getattr(model, method)(X), np.mean(answers, axis=0), rtol=1e-6, atol=1e-12)
        if method == "predict_quantiles":
            assert (np.diff(model.predict_quantiles(X), axis=-1) >= 0).all()
            assert np.array_equal(model.predict(X), model.predict_quantiles(X)[..., 1])
        if method == "predict_proba" and y.ndim == 2:
            assert np.array_equal(model.predict(X), (np.mean(answers, axis=0) > 0.5).astype(int))


def test_logarithms_of_probabilities_that_are_too_small(classifier):
    model = three(classifier).fit(classifier.X, classifier.y)
    for k, arrays in enumerate([model.parameters_, *(one["parameters_"] for one in model.other_networks_)]):
        arrays["bias_out"] = np.full(1, -2000.0 - k, np.float32)
    assert (model.predict_proba(classifier.X)[:, 1] == 0).all()
    found = model.predict_log_proba(classifier.X)[:, 1]
    assert (np.abs(found + 2000.0 + np.log(3.0)) < 10.0).all()


def test_a_row_alone_a_pickle_and_concurrent_calls(case):
    model = three(case).fit(case.X, case.y)
    for name in names(case):
        method = getattr(model, name)
        whole = method(case.X)
        assert np.array_equal(np.concatenate([method(case.X[i : i + 1], context=case.X[:i]) for i in range(90)]), whole)
        restored = pickle.loads(pickle.dumps(model))
        assert np.array_equal(getattr(restored, name)(case.X), whole)
        assert not restored.other_networks_[0]["parameters_"]["bias_l0"].flags.writeable
    assert model.score(case.X, case.y) == restored.score(case.X, case.y)
    carrying = three(case, carry_context=True).fit(case.X[:60], case.y[:60])
    expected = three(case).fit(case.X[:60], case.y[:60])
    after = case.output(expected, case.X[60:], context=case.X[:60])
    assert np.array_equal(case.output(carrying, case.X[60:]), after)


@pytest.mark.parametrize("options", [{"attention_heads": 2}, {"pooling": "attention"}])
def test_attention_weights(case, options):
    model = three(case, **options).fit(case.X, case.y)
    found = [one.attention_weights(case.X) for one in singles(model)]
    weights = model.attention_weights(case.X)
    if "attention_heads" in options:
        assert np.array_equal(weights["heads"], np.concatenate([one["heads"] for one in found], axis=1))
        assert weights["heads"].shape == (90, 6, 5)
    else:
        np.testing.assert_allclose(weights["pooling"], np.mean([one["pooling"] for one in found], axis=0), rtol=1e-6)
        np.testing.assert_allclose(weights["pooling"].sum(axis=1), 1.0, rtol=1e-6)


# Streams


@pytest.mark.parametrize("n_streams", [None, 3])
@pytest.mark.parametrize("window", [True, False])
@pytest.mark.parametrize("options", [{}, {"cell": "gru", "n_layers": 2}, {"pooling": "mean"}])
def test_streams_answer_as_predict(case, n_streams, window, options):
    model = three(case, **options).fit(case.X, case.y)
    for name in names(case):
        stream = model.stream(n_streams=n_streams, window=window, response_method=name)
        for t in range(12):
            rows = case.X[t] if n_streams is None else case.X[[t, t + 20, t + 40]]
            answer = stream.step(rows)
            if t == 5:
                stream = pickle.loads(pickle.dumps(stream))
                state = stream.state
                stream.step(rows)
                stream.state = state
        starts = [0] if n_streams is None else [0, 20, 40]
        if window:
            expected = [getattr(model, name)(case.X[start : start + 12])[-1] for start in starts]
        else:
            expected = list(getattr(model, name)([case.X[start : start + 12] for start in starts]))
        assert np.array_equal(answer, expected[0] if n_streams is None else np.stack(expected))
    out = np.empty_like(answer)
    stream.reset()
    stream.step(rows, out=out)
    stream.reset()
    assert np.array_equal(stream.step(rows), out)


def test_a_stream_with_window_norm_and_its_state(regressor):
    model = three(regressor, window_norm="last").fit(regressor.X, regressor.X[:, 0])
    stream = model.stream()
    answers = [stream.step(row) for row in regressor.X]
    assert np.array_equal(answers, model.predict(regressor.X))
    assert sorted(stream.state) == ["n_rows", "rows"]
    plain = three(regressor).fit(regressor.X, regressor.y).stream(window=False)
    plain.step(regressor.X[0])
    assert sorted(plain.state) == [f"{name}_l0{suffix}" for name in "ch" for suffix in ("", "_network2", "_network3")]
    before = plain.state
    with pytest.raises(ValueError, match="x contains NaN at feature 1"):
        plain.step(np.array([0.0, np.nan, 0.0]))
    assert all(np.array_equal(array, before[name]) for name, array in plain.state.items())


# Smaller models


def test_smaller_models(case):
    model = three(case, hidden_size=16).fit(case.X, case.y)
    whole = case.output(model, case.X)
    small = quantize(model, case.X, "int16")
    np.testing.assert_allclose(case.output(small, case.X), whole, rtol=0.02)
    alone = [quantize(one, case.X, "int16") for one in singles(model)]
    assert small.quantization_error_ == max(one.quantization_error_ for one in alone)
    expected = np.mean([case.output(one, case.X) for one in alone], axis=0)
    np.testing.assert_allclose(case.output(small, case.X), expected, rtol=1e-12)
    assert small.other_networks_[1]["parameters_"]["weight_hh_l0"].dtype == np.int16

    pruned = prune(model, 0.5)
    for one, other in zip(singles(pruned), singles(model), strict=True):
        assert parameters_equal(one, prune(other, 0.5))
    assert pruned.sparsity_ == 0.5
    pruned.partial_fit(case.X, case.y)
    for one in singles(pruned):
        assert np.mean(one.parameters_["weight_hh_l0"] == 0) > 0.2

    factorized = factorize(model, 3)
    for one, other in zip(singles(factorized), singles(model), strict=True):
        assert parameters_equal(one, factorize(other, 3))
    errors = [factorize(one, 3).factorization_error_ for one in singles(model)]
    np.testing.assert_allclose(factorized.factorization_error_, np.mean(errors, axis=0))
    assert case.output(factorized, case.X).shape == whole.shape
    assert "other_networks_" not in vars(distill(model, case.make(), case.X, case.y))
    assert len(distill(case.fit(), three(case), case.X, case.y).other_networks_) == 2


# Errors, interrupts, what is printed


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_an_error_of_one_network_ends_all(case, n_jobs, monkeypatch):
    """The first in order is raised, for any number of threads, and nothing has changed."""
    bad, steps = draw_seeds(0, 3)[1:], WindowPasses.steps

    def failing(self, epoch):
        if self.settings.seed in bad:
            raise Divergence(f"seed {bad.index(self.settings.seed)}")
        yield from steps(self, epoch)

    model = three(case, n_seeds=1).fit(case.X, case.y)
    before = copy.deepcopy(model.parameters_)
    monkeypatch.setattr(WindowPasses, "steps", failing)
    model.set_params(n_seeds=3, n_jobs=n_jobs)
    with pytest.raises(Divergence, match="seed 0") as caught:
        model.fit(case.X, case.y)
    assert caught.value.__notes__ == ["In the training of network 2 of 3 (n_seeds)."]
    assert all(np.array_equal(model.parameters_[name], array) for name, array in before.items())


def interrupt_in(monkeypatch, seed, epoch):
    steps = WindowPasses.steps

    def interrupted(self, now):
        if self.settings.seed == seed and now == epoch:
            raise KeyboardInterrupt
        yield from steps(self, now)

    monkeypatch.setattr(WindowPasses, "steps", interrupted)


@pytest.mark.parametrize(("which", "epoch", "kept"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2), (2, 2, 3)])
def test_networks_that_had_finished_an_epoch_are_kept(case, which, epoch, kept, monkeypatch):
    whole = three(case).fit(case.X, case.y)
    interrupt_in(monkeypatch, draw_seeds(0, 3)[which], epoch)
    model = three(case)
    if not kept:
        with pytest.raises(KeyboardInterrupt):
            model.fit(case.X, case.y)
        assert not hasattr(model, "parameters_")
        return
    with (
        pytest.warns(UserWarning, match=rf"with {kept} of n_seeds=3 networks.* its last epoch so far"),
        pytest.raises(KeyboardInterrupt),
    ):
        model.fit(case.X, case.y)
    models = singles(model)
    assert len(models) == kept
    for k, (one, other) in enumerate(zip(models, singles(whole)[:kept], strict=True)):
        n_epochs = epoch if k == which else 3
        assert one.n_iter_ == n_epochs
        assert one.loss_curve_ == other.loss_curve_[:n_epochs]
    assert case.output(model, case.X).shape == case.output(whole, case.X).shape


def test_an_interrupted_warm_start_keeps_all_networks(case, monkeypatch):
    model = three(case, warm_start=True, max_iter=1).fit(case.X, case.y)
    interrupt_in(monkeypatch, draw_seeds(0, 3)[1], 1)
    with pytest.warns(UserWarning, match="with 3 of n_seeds=3"), pytest.raises(KeyboardInterrupt):
        model.fit(case.X, case.y)
    assert [one.n_iter_ for one in singles(model)] == [2, 1, 1]
    before = copy.deepcopy(model.loss_curve_)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(case.X, case.y)
    assert [one.n_iter_ for one in singles(model)] == [2, 1, 1]
    assert model.loss_curve_ == before


INTERRUPTED = """
import sys, warnings
import numpy as np
from sklstm import DeepRNNRegressor
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(4000, 8))
model = DeepRNNRegressor(16, max_iter=10**6, n_iter_no_change=10**6, sequence_length=8, n_jobs=2, n_seeds=3,
                         random_state=0, verbose=True)
try:
    model.fit(X, X[:, 0])
except KeyboardInterrupt:
    n = [model.n_iter_, *(one["n_iter_"] for one in model.other_networks_)]
    alone = DeepRNNRegressor(16, max_iter=n[0], n_iter_no_change=10**6, sequence_length=8, random_state=0)
    assert alone.fit(X, X[:, 0]).loss_curve_ == model.loss_curve_
    assert model.predict(X).shape == (4000,)
    print("networks of", *n, "epochs")
"""


@needs_posix
def test_ctrl_c_ends_the_trainings_in_all_threads():
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        seen = set()
        while len(seen) < 2:
            line = process.stdout.readline()
            seen.add(re.match(r"Network ([123])/3: Epoch \d+/1000000: loss ", line)[1])
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert re.search(r"^networks of \d+ \d+ epochs$", output, re.MULTILINE), errors


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_lines_name_the_network(case, n_jobs, capsys):
    three(case, verbose=True, n_jobs=n_jobs).fit(case.X, case.y)
    lines = capsys.readouterr().out.splitlines()
    found = sorted(re.match(r"Network (\d)/3: Epoch (\d)/3: loss [0-9.]+, ", line).groups() for line in lines)
    assert found == [(str(k), str(epoch)) for k in (1, 2, 3) for epoch in (1, 2, 3)]


def test_the_scorer_runs_in_the_configuration_of_the_caller_and_one_at_a_time(classifier):
    from sklearn import config_context, get_config

    running, seen = [], []

    def scoring(estimator, X, y):
        assert not running
        running.append(1)
        seen.append(get_config()["enable_metadata_routing"])
        running.pop()
        return estimator.score(X, y)

    with config_context(enable_metadata_routing=True):
        three(classifier, scoring=scoring, early_stopping=True, n_jobs=3).fit(classifier.X, classifier.y)
    assert seen == [True] * 9


# What is checked


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays: arrays.pop("bias_l0"), "the arrays are called"),
        (lambda arrays: arrays.update(bias_l0=np.zeros(3, np.float32)), "bias_l0 is an array"),
        (lambda arrays: arrays.update(bias_l0=np.full(16, np.nan, np.float32)), "hold NaN or infinity"),
        (lambda arrays: arrays.clear(), "the arrays are called"),
    ],
)
def test_a_damaged_network_is_refused(case, damage, message):
    model = copy.deepcopy(three(case).fit(case.X, case.y))
    damage(model.other_networks_[1]["parameters_"])
    for ask in (model.predict, model.transform, lambda _: model.stream()):
        with pytest.raises(ValueError, match=f"is damaged.*{message}"):
            ask(case.X)


def test_probabilities_of_a_mean_sum_to_one(classifier):
    y = np.digitize(classifier.X[:, 0], [-0.5, 0.5])
    model = three(classifier).fit(classifier.X, y)
    answers = model.predict_proba(classifier.X)
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, rtol=1e-12)
    z = [one._forward(classifier.X, None, None, None).astype(np.float64) for one in singles(model)]
    np.testing.assert_allclose(answers, np.mean([softmax(raw, axis=1) for raw in z], axis=0), rtol=1e-10)
