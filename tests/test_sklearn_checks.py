"""scikit-learn's own checks of the LSTM estimators, with their defaults and with windows of one row.

Those of the selector and the ensembles are in test_feature_selection.py and test_ensemble.py.
"""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

SHUFFLED = (
    "a repeated row falls into other mini-batches than a weight; test_weights_are_repetitions proves it for one batch"
)
ROWS_ARE_TIME_STEPS = {
    "check_methods_sample_order_invariance": "rows are time steps: their order is what the network reads",
    "check_methods_subset_invariance": "rows are time steps: the rows before one belong to its window",
}


def expected_failures(estimator):
    expected = {"check_sample_weight_equivalence_on_dense_data": SHUFFLED}
    return expected if estimator.sequence_length == 1 else expected | ROWS_ARE_TIME_STEPS


@parametrize_with_checks(
    [
        DeepLSTMRegressor(),
        DeepLSTMClassifier(),
        DeepLSTMRegressor(sequence_length=1),
        DeepLSTMClassifier(sequence_length=1),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
