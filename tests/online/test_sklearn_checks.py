"""scikit-learn's own checks of the learner, of a classifier, and of a regressor with windows of one row."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm.online import OnlineLearner

ROWS_ARE_TIME_STEPS = {
    "check_methods_sample_order_invariance": "rows are time steps: their order is what the network reads",
    "check_methods_subset_invariance": "rows are time steps: the rows before one belong to its window",
}
QUICK = {"sequence_length": 2, "learning_rate_init": 0.03, "n_jobs": 1, "random_state": 0}


def expected_failures(estimator):
    return {} if estimator.model.sequence_length == 1 else ROWS_ARE_TIME_STEPS


@parametrize_with_checks(
    [
        OnlineLearner(DeepLSTMClassifier(8, **QUICK), refit="inline", refit_every=50),
        OnlineLearner(DeepLSTMRegressor(8, **{**QUICK, "sequence_length": 1})),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
