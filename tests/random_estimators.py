"""Estimators with options drawn at random, repeatable by a number, and data for them: for tests/reliability/."""

import re
import warnings

import numpy as np
from cell_objects import OBJECTS
from sklearn.base import clone

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import LSTM

# What the constructor's parameters exclude is drawn again; any other error is a failure.
REFUSED = re.compile(
    r"cannot be combined with|must divide the|must be smaller than hidden_size|needs groups|goes with a 2-D table|"
    r"training='stateful' needs|cannot be set where|^Training diverged"
)
N_ROWS, N_SEQUENCES = 230, 130


class Drawn:
    """One estimator, not fitted, and data that it takes.

    Parameters
    ----------
    number : int
        The seed of everything.
    attempt : int
        Which draw of this number; those before were refused.
    """

    def __init__(self, number, attempt=0):
        self.rng = np.random.default_rng([77, number, attempt])
        self.number, self.attempt = number, attempt
        self.is_classifier = self.on(0.4)
        self.options = self._options()
        self.kind = DeepRNNClassifier if self.is_classifier else DeepRNNRegressor
        self.X, self.keywords = self._data()
        self.y = self._targets()

    def on(self, share):
        return bool(self.rng.random() < share)

    def one(self, *values):
        return values[self.rng.integers(len(values))]

    def _cell(self):
        if self.on(0.3):
            projection = int(self.rng.integers(1, 4)) if self.on(0.4) else None
            return LSTM(peephole=self.on(0.4), layer_norm=self.on(0.4), projection_size=projection)
        return clone(self.one(*OBJECTS.values()))

    def _options(self):
        n_layers = int(self.rng.integers(1, 4))
        size = int(self.one(4, 5, 8, 12, 16, 17, 33))
        options = {
            "cell": self._cell(),
            "hidden_size": [size, size + 4, size][:n_layers] if self.on(0.3) else size,
            "n_layers": n_layers,
            "sequence_length": int(self.rng.integers(3, 9)),
            "batch_size": int(self.one(16, 50, 97, 128, 200)),
            "max_iter": 2,
            "random_state": int(self.rng.integers(1000)),
            "dtype": self.one("float32", "float32", "float32", "float64", "bfloat16"),
            "solver": self.one("adamw", "adam", "sgd", "schedule_free"),
            "learning_rate": self.one("constant", "linear_warm_up", "cosine", "one_cycle", "reduce_on_plateau"),
            "max_grad_norm": self.one(1.0, None, "adaptive"),
            "shuffle": self.one(True, False, "blocks"),
            "early_stopping": self.on(0.5),
            "weight_init": self.one("glorot", "he"),
            "input_scaling": self.one("standard", "robust", None),
            "n_seeds": self.one(1, 1, 1, 2),
            "residual": int(self.on(0.3)),
        }
        return options | self._rarer_options(n_layers) | self._loss()

    def _rarer_options(self, n_layers):
        choices = {
            "bidirectional": True,
            "dropout": 0.3 if n_layers > 1 else 0.0,
            "recurrent_dropout": 0.3,
            "weight_dropout": 0.3,
            "zoneout": 0.2,
            "output_gate": self.one("silu", "softmax"),
            "norm": self.one("layer", "rms"),
            "feedforward": "swiglu",
            "attention_heads": 1,
            "pooling": self.one("mean", "attention"),
            "patch_length": 2,
            "window_norm": self.one("last", "standard"),
            "linear_skip": 2,
            "accumulation_steps": 2,
            "recurrent_constraint": self.one("spectral_norm", "scaled_orthogonal"),
            "carry_context": True,
        }
        chosen = {name: value for name, value in choices.items() if self.on(0.15)}
        if self.on(0.12):
            chosen |= {"training": "stateful", "shuffle": False, "bptt_steps": 5}
        if self.on(0.12):
            chosen |= {"targets": "sequence"}
        return chosen

    def _loss(self):
        if self.is_classifier:
            return {
                "class_weight": self.one(None, "balanced"),
                "label_smoothing": self.one(0.0, 0.1),
            }
        loss = self.one(
            {"loss": "squared_error"}, {"loss": "absolute_error"}, {"loss": "huber"}, {"loss": "log_cosh"},
            {"loss": "poisson"}, {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)},
        )  # fmt: skip
        return loss | {"target_column": 0}

    def _data(self):
        rng, keywords = self.rng, {}
        if self.options.get("targets") == "sequence" or (self.on(0.35) and "training" not in self.options):
            self.shape = "array" if self.on(0.5) else "list"
            X = rng.normal(size=(N_SEQUENCES, 7, 3))
            if self.shape == "list":
                X = [one[: rng.integers(3, 8)] for one in X]
        else:
            self.shape, X = "table", rng.normal(size=(N_ROWS, 3))
            if self.on(0.3):
                keywords["groups"] = np.repeat([3, 1, 2], [100, 60, N_ROWS - 160])
        return X, keywords

    def _targets(self):
        if self.options.get("targets") == "sequence":
            y = [self._encoded(one[:, 0] + 0.3 * one[:, 1]) for one in self.X]
            return np.array(y) if self.shape == "array" else y
        if self.shape == "table":
            return self._encoded(self.X[:, 0] + np.roll(self.X[:, 1], 1))
        return self._encoded(np.array([one[-1, 0] + one[-2, 1] for one in self.X]))

    def _encoded(self, signal):
        if self.is_classifier:
            return np.digitize(signal, [-0.5, 0.7]) if self.number % 2 else (signal > 0) * 1
        return np.round(np.abs(3.0 * signal)) if self.options["loss"] == "poisson" else 20.0 + 5.0 * signal

    def make(self, n_jobs=1):
        """Return the estimator, not fitted."""
        return self.kind(**{**self.options, "cell": clone(self.options["cell"])}, n_jobs=n_jobs)

    def fit(self, n_jobs=1):
        """Return the estimator, fitted."""
        return self.make(n_jobs).fit(self.X, self.y, **self.keywords)

    def answers(self, model):
        """Return the answers of all methods of a fitted model, by name."""
        names = ["predict", "predict_proba", "predict_quantiles", "transform"]
        return {name: getattr(model, name)(self.X, **self.keywords) for name in names if hasattr(model, name)}

    def __str__(self):
        return f"number {self.number}, attempt {self.attempt}: {self.make()!r} on a {self.shape}"


def draw(number, attempts=60):
    """Return the first draw of a number that is neither refused nor diverges, fitted by one thread, and the draw."""
    for attempt in range(attempts):
        drawn = Drawn(number, attempt)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return drawn, drawn.fit()
            except ValueError as error:
                if not REFUSED.search(str(error)):
                    raise RuntimeError(f"{drawn}") from error
    raise RuntimeError(f"number {number}: all {attempts} draws were refused or diverged")


def bits(value):
    """Return the bytes of arrays and numbers, however they are nested."""
    if isinstance(value, dict):
        return b"".join(str(key).encode() + bits(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return b"".join(map(bits, value))
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return repr(value).encode()
    return f"{array.dtype} {array.shape}".encode() + array.tobytes()


def learnt(model):
    """Return the bytes of all that `fit` has left in a model."""
    fitted = vars(model).keys() - model.get_params(deep=False).keys()
    return b"".join(name.encode() + bits(getattr(model, name)) for name in sorted(fitted))
