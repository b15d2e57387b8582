"""Fixtures of the tests of the estimators."""

import pytest
from estimator_case import Case

from sklstm import DeepRNNClassifier, DeepRNNRegressor


@pytest.fixture(params=[DeepRNNRegressor, DeepRNNClassifier], ids=["regressor", "classifier"])
def case(request):
    return Case(request.param)


@pytest.fixture
def regressor():
    return Case(DeepRNNRegressor)


@pytest.fixture
def classifier():
    return Case(DeepRNNClassifier)
