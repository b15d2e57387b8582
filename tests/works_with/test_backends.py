"""Other backends of joblib: searches give the same scores there."""

import os
from pathlib import Path

import joblib
import numpy as np
import pytest
from order_case import TRAIN, X, Y, regressor
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

import sklstm

pytestmark = pytest.mark.filterwarnings("default")  # of other packages


@pytest.fixture
def workers_find_the_package(monkeypatch):
    """New processes import it from where it was imported here."""
    folders = [str(Path(sklstm.__file__).parents[1]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))


def scores():
    search = GridSearchCV(regressor(max_iter=3), {"hidden_size": [4, 8]}, cv=TimeSeriesSplit(2), refit=False)
    return search.fit(X[TRAIN], Y[TRAIN]).cv_results_["mean_test_score"]


@pytest.mark.parametrize("processes", [True, False])
def test_dask(processes, workers_find_the_package):
    distributed = pytest.importorskip("distributed")
    expected = scores()
    options = {"n_workers": 2 if processes else 1, "threads_per_worker": 1 if processes else 2}
    with (
        distributed.LocalCluster(processes=processes, dashboard_address=None, **options) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        np.testing.assert_array_equal(scores(), expected)


def test_ray(workers_find_the_package):
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    expected = scores()
    register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with joblib.parallel_config(backend="ray"):
            np.testing.assert_array_equal(scores(), expected)
    finally:
        ray.shutdown()
