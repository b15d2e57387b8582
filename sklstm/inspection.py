"""What a fitted model has learnt: pictures, importances of columns and lags, gradients by the inputs."""

from sklstm._inspection.attention import AttentionDisplay
from sklstm._inspection.attribution import AttributionDisplay
from sklstm._inspection.feature_scores import FeatureScoreDisplay
from sklstm._inspection.forecast import ForecastDisplay
from sklstm._inspection.gradients import input_gradients, integrated_gradients
from sklstm._inspection.online_history import OnlineHistoryDisplay
from sklstm._inspection.permutation import permutation_importance
from sklstm._inspection.training_curve import TrainingCurveDisplay
from sklstm._inspection.weight_history import WeightHistoryDisplay

__all__ = [
    "AttentionDisplay",
    "AttributionDisplay",
    "FeatureScoreDisplay",
    "ForecastDisplay",
    "OnlineHistoryDisplay",
    "TrainingCurveDisplay",
    "WeightHistoryDisplay",
    "input_gradients",
    "integrated_gradients",
    "permutation_importance",
]
