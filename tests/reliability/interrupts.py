"""Press Ctrl-C at random moments of long calls: how long it takes, and what it leaves.

    PYTHONPATH=tests python tests/reliability/interrupts.py [--count 200] [--seed 0] [--limit 0.2]

A timer of the system raises KeyboardInterrupt, as Ctrl-C does, at a moment between the begin and the end of a call.
The call must end within so many seconds, and leave what the guide says: `fit` the state of its last finished epoch,
bit for bit that of a fit of so many epochs, or that of before; every other call that of before. The next call must
work. It wants a quiet machine: a core that another program holds adds to the time.
"""

import argparse
import copy
import signal
import time
import warnings

import numpy as np
from random_estimators import bits
from sklearn.linear_model import Ridge

from sklstm import DeepRNNClassifier, DeepRNNRegressor, LSTMFeatureSelector, WeightedEnsembleRegressor
from sklstm._seeds import singles
from sklstm.cells import GRU

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3000, 8))
Y = X[:, 0] + np.roll(X[:, 1], 1)
WIDE = RNG.normal(size=(256, 24, 128)).astype(np.float32)
TALL = RNG.normal(size=(60_000, 40))
LEARNT = ("parameters_", "n_iter_", "loss_curve_", "gradient_norms_", "validation_scores_", "best_iteration_", "loss_")
LONG = {"max_iter": 40, "n_iter_no_change": 1000, "tol": 0.0, "random_state": 0, "n_jobs": 2}


def small(kind=DeepRNNRegressor, **options):
    """Return an estimator whose fit has many short epochs."""
    return kind(**{"hidden_size": 16, "sequence_length": 8, **LONG, **options})


def large():
    """Return an estimator one batch of which takes long."""
    return DeepRNNRegressor(384, 3, batch_size=128, max_iter=2, early_stopping=False, random_state=0, n_jobs=2)


def ensemble():
    """Return an ensemble that fits networks on several folds."""
    return WeightedEnsembleRegressor([("net", small(max_iter=8)), ("ridge", Ridge())], weights="auto")


def state(model):
    """Return the bytes of all that a model holds."""
    fitted = vars(model).keys() - model.get_params(deep=False).keys()
    held = {name: vars(model)[name] for name in sorted(fitted) if not name.endswith("estimators_")}
    return bits(held)


class FitOfANetwork:
    """A `fit` that may keep finished epochs.

    Parameters
    ----------
    make : callable
        Returns the estimator.
    data : tuple
        What `fit` takes.
    """

    def __init__(self, make, data):
        self.make, self.data, self.known = make, data, {}

    def prepare(self):
        """Return the estimator before the call."""
        return self.make()

    def run(self, model):
        """Make the call."""
        model.fit(*self.data)

    def fault(self, model):
        """Return what is wrong with the state after an interrupt, or None."""
        if not hasattr(model, "parameters_"):
            return None if vars(model).keys() == vars(self.make()).keys() else "half-fitted"
        for one in singles(model):
            n = one.n_iter_
            if n not in self.known:
                self.known[n] = self.learnt(self.make().set_params(max_iter=n).fit(*self.data))
            if self.learnt(one)[0] not in self.known[n]:
                return f"not the state of {n} epochs"
        return None

    def learnt(self, model):
        """Return the bytes of what training has left, of the network of each seed."""
        return [bits({name: getattr(one, name) for name in LEARNT}) for one in singles(model)]


class OtherCall:
    """A call that leaves what was there before.

    Parameters
    ----------
    model : estimator
    method : str
    data : tuple
    """

    def __init__(self, model, method, data):
        self.model, self.method, self.data = model, method, data
        self.before, self.answer = state(model), None

    def prepare(self):
        """Return the estimator before the call."""
        return self.model if self.method in ("predict", "transform") else copy.deepcopy(self.model)

    def run(self, model):
        """Make the call."""
        answer = getattr(model, self.method)(*self.data)
        self.answer = answer if self.method in ("predict", "transform") else None

    def fault(self, model):
        """Return what is wrong with the state after an interrupt, or None."""
        if state(model) != self.before:
            return "changed"
        if self.answer is not None and getattr(model, self.method)(self.data[0][:50]).tobytes() != (
            self.answer[:50].tobytes()
        ):
            return "another answer"
        return None


def calls():
    """Return the calls by name, with the share of the moments that each gets."""
    labels = (Y > 0).astype(int)
    wide = DeepRNNRegressor(256, 2, max_iter=1, early_stopping=False, random_state=0, n_jobs=2).fit(WIDE[:4], Y[:4])
    part = small().partial_fit(TALL, TALL[:, 0])
    return {
        "fit": (6, FitOfANetwork(small, (X, Y))),
        "fit, early stopping, GRU": (
            4,
            FitOfANetwork(lambda: small(DeepRNNClassifier, early_stopping=True, cell=GRU(), n_layers=2), (X, labels)),
        ),
        "fit of 3 seeds": (3, FitOfANetwork(lambda: small(n_seeds=3, early_stopping=False, max_iter=15), (X, Y))),
        "fit, 3 layers of 384 units": (3, FitOfANetwork(large, (WIDE, Y[:256]))),
        "partial_fit": (2, OtherCall(part, "partial_fit", (TALL, TALL[:, 0]))),
        "predict, 2 layers of 256 units": (3, OtherCall(wide, "predict", (np.tile(WIDE, (4, 1, 1)),))),
        "fit of an ensemble": (2, OtherCall(ensemble(), "fit", (X, Y))),
        "fit of a selector": (1, OtherCall(LSTMFeatureSelector(20), "fit", (np.tile(TALL, (1, 5)), TALL[:, 0]))),
    }


def interrupted(call, model, wait):
    """Return how long after a moment the call ended, or None if it had ended before."""
    begin = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, wait)
    try:
        call.run(model)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return time.monotonic() - begin - wait
    return None


def main():
    """Print delays and faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=0.2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    rng, table, faults, late, delays = np.random.default_rng(options.seed), calls(), [], 0, []
    shares = sum(share for share, _ in table.values())
    for name, (share, call) in table.items():
        model = call.prepare()
        begin = time.monotonic()
        call.run(model)
        whole, own = time.monotonic() - begin, []
        count = options.count - len(delays) if name == [*table][-1] else options.count * share // shares
        while len(own) < count:
            model, wait = call.prepare(), float(rng.uniform(1e-3, whole))
            delay = interrupted(call, model, wait)
            if delay is None:
                continue
            own.append(delay)
            fault = call.fault(model)
            faults += [(name, f"after {wait:.3f} s", fault)] if fault else []
            late += delay > options.limit
        delays += own
        median, largest = np.median(own), max(own)
        print(
            f"{name:32} {whole:6.2f} s, {count:3} moments: median {median:.3f} s, largest {largest:.3f} s, "
            f"{sum(one[0] == name for one in faults)} faults",
            flush=True,
        )
    print(f"{len(delays) - len(faults)} of {len(delays)} as documented, {len(delays) - late} within {options.limit} s")
    for fault in faults[:20]:
        print(*fault)
    raise SystemExit(bool(faults) or late > 0)


if __name__ == "__main__":
    main()
