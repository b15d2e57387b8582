"""Fits that are shared with the workers of a dask cluster."""

import contextvars
import os
from pathlib import Path

import numpy as np
import pytest
from estimator_case import parameters_equal

import sklstm
from sklstm import DeepRNNRegressor
from sklstm.distributed import DaskWorkers, _address_towards, _spread
from sklstm.exceptions import WorkerError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(500, 3))
Y = np.convolve(X[:, 0], [0.5, 0.3])[:500]


def alone(function, *arguments, **keywords):
    return contextvars.Context().run(function, *arguments, **keywords)


def regressor(**parameters):
    settings = {"hidden_size": 12, "sequence_length": 6, "max_iter": 2, "random_state": 0, "batch_size": 256}
    return DeepRNNRegressor(**{**settings, **parameters})


@pytest.fixture
def client(request, monkeypatch):
    """Of a cluster with three workers: processes, or threads of this process."""
    distributed = pytest.importorskip("distributed")
    folders = [str(Path(sklstm.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": None, "processes": request.param}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


pytestmark = pytest.mark.filterwarnings("default")  # of other packages


@pytest.mark.parametrize("client", [True, False], ids=["processes", "threads"], indirect=True)
def test_the_bits_are_those_of_a_fit_alone(client):
    expected = alone(regressor().fit, X, Y)
    for n_workers in (1, 2, None):
        with DaskWorkers(client, n_workers) as workers:
            model = regressor().fit(X, Y)
            assert len(workers._tasks) == (n_workers or 3)
        assert parameters_equal(model, expected)
        assert model.loss_curve_ == expected.loss_curve_
    assert client.submit(int, 7).result(timeout=20) == 7  # the cluster is free again


@pytest.mark.parametrize("client", [True], ids=["processes"], indirect=True)
def test_a_worker_that_dies_is_an_error_and_another_one_takes_its_place(client):
    expected = alone(regressor().fit, X, Y)
    model = regressor(max_iter=100_000, tol=0, n_iter_no_change=100_000, early_stopping=False)
    pids = client.run(os.getpid)
    with DaskWorkers(client, 2) as workers:
        victim = next(iter(workers._tasks))
        client.loop.call_later(0.5, os.kill, pids[victim], 9)
        with pytest.raises(WorkerError, match=rf"process {pids[victim]} on .* has gone, in epoch"):
            model.fit(X, Y)
        assert not hasattr(model, "parameters_")
        assert parameters_equal(regressor().fit(X, Y), expected)
        assert victim not in workers._tasks


@pytest.mark.parametrize("client", [False], ids=["threads"], indirect=True)
def test_more_workers_than_there_are(client):
    with pytest.raises(WorkerError, match="n_workers=4, but the cluster has 3 workers"):
        DaskWorkers(client, 4)
    with pytest.raises(ValueError, match="n_workers=0, expected an integer of at least 1"):
        DaskWorkers(client, 0)


@pytest.mark.parametrize("client", [False], ids=["threads"], indirect=True)
def test_an_address_that_workers_do_not_reach(client):
    """Whose task fails, as another process listens there, or nobody."""

    class Elsewhere(DaskWorkers):
        def _start_missing(self):
            self._address = "127.0.0.1", 1
            super()._start_missing()

    with pytest.raises(WorkerError, match="ended before it had connected: 'finished'"), Elsewhere(client, timeout=20):
        pass


def test_workers_are_spread_over_machines():
    addresses = ["tcp://a:1", "tcp://a:2", "tcp://a:3", "tcp://b:1", "tcp://c:9", "tcp://b:2"]
    assert _spread(addresses)[:3] == ["tcp://a:1", "tcp://b:1", "tcp://c:9"]
    assert sorted(_spread(addresses)) == sorted(addresses)


def test_the_address_of_this_machine_is_the_one_towards_the_scheduler():
    assert _address_towards("tcp://127.0.0.1:8786") == "127.0.0.1"
    assert _address_towards("inproc://10.0.0.9/77/1") == "127.0.0.1"
