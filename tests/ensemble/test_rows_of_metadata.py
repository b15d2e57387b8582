"""What of the metadata is cut for the folds: told by name or by index, never by length."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemble.members import Log, Wants
from sklstm import DeepLSTMRegressor, WeightedEnsembleRegressor

X = np.random.default_rng(0).normal(size=(40, 2))
Y = X[:, 0] + np.arange(40.0) / 40
FOLDS = [(np.arange(20), np.arange(20, 40))]


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


class Takes(Wants):
    """Accepts validation data and metadata without a meaning."""

    def fit(self, X, y, X_val=None, y_val=None, eval_set=None, extra=None, sample_weight=None):
        self.log.append({"X_val": X_val, "y_val": y_val, "eval_set": eval_set, "extra": extra, "weight": sample_weight})
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))


def ensemble(log, **requests):
    members = [("takes", Takes(log).set_fit_request(**requests)), ("ridge", Ridge())]
    return WeightedEnsembleRegressor(members, weights="auto", cv=FOLDS)


@pytest.mark.parametrize("n_val", [7, 40])  # 40: as many as X has
def test_validation_data_are_handed_on_whole(n_val):
    log, X_val, y_val = Log(), np.ones((n_val, 2)), np.ones(n_val)
    model = ensemble(log, X_val=True, y_val=True, eval_set=True)
    model.fit(X, Y, X_val=X_val, y_val=y_val, eval_set=[(X_val, y_val)])
    assert len(log) == 2
    for given in log:
        assert given["X_val"] is X_val
        assert given["y_val"] is y_val
        assert given["eval_set"] == [(X_val, y_val)]
    log.clear()
    sets = [(X_val, y_val)] * 40  # as many as X has rows
    ensemble(log, eval_set=True).fit(X, Y, eval_set=sets)
    assert all(given["eval_set"] is sets for given in log)


def test_validation_data_under_an_alias_are_handed_on_whole():
    log, X_val = Log(), np.ones((40, 2))
    ensemble(log, X_val="held_out").fit(X, Y, held_out=X_val)
    assert all(given["X_val"] is X_val for given in log)
    log.clear()
    member = make_pipeline(StandardScaler(), Takes(log).set_fit_request(X_val="held_out", sample_weight="share"))
    model = WeightedEnsembleRegressor([("pipe", member), ("ridge", Ridge())], weights="auto", cv=FOLDS)
    share = np.linspace(1, 2, 40)
    model.fit(X, Y, held_out=X_val, share=share)
    assert all(given["X_val"] is X_val for given in log)
    np.testing.assert_array_equal(log[0]["weight"], share[:20])
    np.testing.assert_array_equal(log[1]["weight"], share)


def test_a_network_validates_every_fold_on_all_it_was_given():
    rng = np.random.default_rng(1)
    X_val, y_val = rng.normal(size=(40, 2)), rng.normal(size=40)
    network = DeepLSTMRegressor(2, sequence_length=2, max_iter=4, random_state=0, dtype="float64")
    network.set_fit_request(X_val=True, y_val=True)
    model = WeightedEnsembleRegressor([("lstm", network), ("ridge", Ridge())], weights="auto", cv=FOLDS)
    model.fit(X, Y, X_val=X_val, y_val=y_val)
    by_hand = DeepLSTMRegressor(2, sequence_length=2, max_iter=4, random_state=0, dtype="float64")
    by_hand.fit(X[:20], Y[:20], X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(model.oof_predictions_[:, 0], by_hand.predict(X)[20:])


def test_what_nothing_tells_of_is_refused():
    log = Log()
    for extra in (np.arange(40), list(range(40)), pd.Series(np.arange(40))):
        with pytest.raises(ValueError, match=r"must know whether 'extra'.*'takes'.*DataFrame"):
            ensemble(log, extra=True).fit(X, Y, extra=extra)
    with pytest.raises(ValueError, match="must know whether 'extra'"):  # a plain numbering says nothing
        ensemble(log, extra=True).fit(pd.DataFrame(X), Y, extra=pd.Series(np.arange(40)))
    assert log == []
    for extra in (3, "word" * 10, np.arange(39), None):
        ensemble(log, extra=True).fit(X, Y, extra=extra)
        assert all(given["extra"] is extra for given in log)
        log.clear()
    # Given weights need no folds: nothing is cut.
    ensemble(log, extra=True).set_params(weights=(1, 1)).fit(X, Y, extra=np.arange(40))
    np.testing.assert_array_equal(log[0]["extra"], np.arange(40))


def test_an_index_tells_what_belongs_to_the_rows():
    log = Log()
    times = pd.date_range("2024-01-01", periods=40, freq="h")
    table, other = pd.DataFrame(X, index=times), pd.Series(np.arange(40), index=times + pd.Timedelta("1D"))
    mine = pd.Series(np.arange(40), index=times)
    ensemble(log, extra=True).fit(table, Y, extra=mine)
    assert [len(given["extra"]) for given in log] == [20, 40]
    log.clear()
    ensemble(log, extra=True).fit(table, Y, extra=other)
    assert all(given["extra"] is other for given in log)


def test_context_is_not_for_fit():
    with pytest.raises(ValueError, match="belong to the methods that ask for predictions"):
        WeightedEnsembleRegressor([("ridge", Ridge())]).fit(X, Y, context=np.ones((40, 2)))
