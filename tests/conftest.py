"""Fixtures of the tests of the LSTM estimators."""

import pytest
from lstm_case import Case

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor


@pytest.fixture(params=[DeepLSTMRegressor, DeepLSTMClassifier], ids=["regressor", "classifier"])
def case(request):
    return Case(request.param)


@pytest.fixture
def regressor():
    return Case(DeepLSTMRegressor)


@pytest.fixture
def classifier():
    return Case(DeepLSTMClassifier)
