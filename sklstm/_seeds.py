"""Networks from several seeds in one estimator: a model for each of them, and what becomes of these.

The first network is that of the estimator's own attributes; what training made of the others is `other_networks_`. A
function that changes a network is called with one model for each, a snapshot with the attributes of this network.
"""

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import check_random_state

from sklstm._snapshot import snapshot_of

# What each network has of its own.
OF_A_NETWORK = (
    "parameters_",
    "n_iter_",
    "loss_",
    "loss_curve_",
    "gradient_norms_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
    "best_iteration_",
    "best_loss_",
)


def draw_seeds(random_state, n_seeds):
    """Return different seeds, the first of which does not depend on their number."""
    generator, seeds = check_random_state(random_state), []
    while len(seeds) < n_seeds:
        seed = int(generator.randint(np.iinfo(np.int32).max))
        if seed not in seeds:
            seeds.append(seed)
    return seeds


def with_seeds(model):
    """Return a snapshot of a model for each of its `n_seeds` networks, with a seed of its own."""
    models = [snapshot_of(model) for _ in range(model.n_seeds)]
    for one, seed in zip(models, draw_seeds(model.random_state, len(models)), strict=True):
        one._training_state = {"seed": seed}
    return models


def n_networks(model):
    """Return the number of networks that a fitted model has."""
    return 1 + len(getattr(model, "other_networks_", ()))


def refuse_other_number(model):
    """Raise if training cannot go on with `n_seeds`."""
    n = n_networks(model)
    if n != model.n_seeds:
        raise ValueError(
            f"training cannot go on with n_seeds={model.n_seeds}: the estimator holds {n} network{'s' * (n > 1)}. Set "
            f"warm_start=False, or set n_seeds={n}."
        )


def singles(model):
    """Return a model with one network for each of the networks of a fitted model, which stays as it is."""
    others, state = getattr(model, "other_networks_", ()), dict(getattr(model, "_training_state", {}))
    states = [state, *state.pop("others", [{} for _ in others])]
    models = []
    for own, of_training in zip(({}, *others), states, strict=True):
        one = snapshot_of(model)
        one.__dict__.pop("other_networks_", None)
        one.__dict__.update(own)
        if hasattr(model, "_training_state"):
            one._training_state = of_training
        models.append(one)
    return models


def join(model, models):
    """Give a model, in place, all attributes of the first of these, and the networks of the others."""
    first, *others = models
    model.__dict__.update(first.__dict__)
    model.__dict__.pop("other_networks_", None)
    if others:
        model.other_networks_ = [
            {name: one.__dict__[name] for name in OF_A_NETWORK if name in one.__dict__} for one in others
        ]
        if hasattr(first, "_training_state"):
            model._training_state = {**first._training_state, "others": [one._training_state for one in others]}


def train_each(train, models, n_threads, *, side_by_side=True):
    """Call ``train(model, threads, stop=..., label=..., which=...)`` for each model, several at a time.

    Parameters
    ----------
    train : callable
        It trains a model in place with so many threads, ends with a KeyboardInterrupt once ``stop()`` is true, and
        returns what interrupted it after the first epoch, or None; the lines that it prints begin with the label, and
        `which` is its position among the models.
    models : list of estimator
        Changed in place.
    n_threads : int
        Threads in total. What is learnt does not depend on it.
    side_by_side : bool, default=True
        Whether several may be trained at a time.

    Returns
    -------
    trained : list of estimator
        Those that were trained for at least one epoch.
    interrupt : KeyboardInterrupt or None
        What ended the training early.

    Raises
    ------
    KeyboardInterrupt
        If it came before the first of them had been trained for an epoch.
    """
    n_workers = min(len(models), n_threads)
    if n_workers == 1 or not side_by_side:
        return _one_by_one(train, models, n_threads)
    edges = [n_threads * k // n_workers for k in range(n_workers + 1)]
    stops, config = [Event() for _ in models], get_config()

    def run(k):
        """Train one of them."""
        with config_context(**config):  # that of the calling thread
            own = edges[k % n_workers + 1] - edges[k % n_workers]
            return train(models[k], own, stop=stops[k].is_set, label=_label(k, len(models)), which=k)

    interrupt, executor = None, ThreadPoolExecutor(n_workers, thread_name_prefix="sklstm-seed")
    try:
        running = [executor.submit(run, k) for k in range(len(models))]
        interrupt = _wait_for_all(running, stops)
    finally:
        for stop in stops:
            stop.set()
        executor.shutdown(cancel_futures=True)
    trained = []
    for k, (one, future) in enumerate(zip(models, running, strict=True)):
        if future.cancelled():
            continue
        error = future.exception()
        if isinstance(error, KeyboardInterrupt):
            continue
        if error is not None:
            _say_which(error, k, len(models))
            raise error
        trained.append(one)
    if interrupt is not None and not trained:
        raise interrupt
    return trained, interrupt


def _wait_for_all(running, stops):
    """Wait for the futures, and end those behind an error; return the KeyboardInterrupt that ended all of them."""
    interrupt, unfinished = None, set(running)
    while unfinished:
        try:
            # With a timeout, the only wait that Ctrl-C ends on every system.
            _, unfinished = wait(unfinished, timeout=0.1)
            failed = [k for k, one in enumerate(running) if one.done() and not one.cancelled() and one.exception()]
            # The earlier ones go on: the error that is raised is the first in their order, for any number of threads.
            for k in range(failed[0] + 1, len(running)) if failed else ():
                stops[k].set()
                running[k].cancel()
        except KeyboardInterrupt as error:
            interrupt = error
            for stop, one in zip(stops, running, strict=True):
                stop.set()
                one.cancel()
    return interrupt


def _one_by_one(train, models, n_threads):
    trained = []
    for k, one in enumerate(models):
        try:
            interrupt = train(one, n_threads, stop=None, label=_label(k, len(models)), which=k)
        except KeyboardInterrupt as error:
            if not trained:
                raise
            return trained, error
        except Exception as error:
            _say_which(error, k, len(models))
            raise
        trained.append(one)
        if interrupt is not None:
            return trained, interrupt
    return trained, None


def _label(k, n):
    return f"Network {k + 1}/{n}: " if n > 1 else ""


def _say_which(error, k, n):
    if n > 1:
        error.add_note(f"In the training of network {k + 1} of {n} (n_seeds).")
