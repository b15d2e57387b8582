"""Markers of tests, fixtures of those of the estimators, and Ctrl-C."""

import signal

import pytest
from estimator_case import Case

from sklstm import DeepRNNClassifier, DeepRNNRegressor

# What a shell starts in the background ignores Ctrl-C, and with it what tests send to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark what has a parameter `isa`: lowering the instruction set in use changes nothing there."""
    for item in items:
        if "isa" in getattr(getattr(item, "callspec", None), "params", {}):
            item.add_marker("every_isa")


@pytest.fixture(params=[DeepRNNRegressor, DeepRNNClassifier], ids=["regressor", "classifier"])
def case(request):
    return Case(request.param)


@pytest.fixture
def regressor():
    return Case(DeepRNNRegressor)


@pytest.fixture
def classifier():
    return Case(DeepRNNClassifier)
