"""Recurrent networks that feel like scikit-learn: LSTM estimators with their own kernels for the CPU."""

from sklstm._version import __version__
from sklstm.classifier import DeepLSTMClassifier
from sklstm.ensemble import WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm.feature_selection import LSTMFeatureSelector
from sklstm.regressor import DeepLSTMRegressor

__all__ = [
    "DeepLSTMClassifier",
    "DeepLSTMRegressor",
    "LSTMFeatureSelector",
    "WeightedEnsembleClassifier",
    "WeightedEnsembleRegressor",
    "__version__",
]
