"""scikit-learn's own checks of the estimators with a network, with their defaults, windows of one row, and options.

Those of the selector and the ensembles are in test_feature_selection.py and test_ensemble.py.
"""

import pytest
from network.options_draw import ALL_CONFIGURATIONS
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import LSTM

# Their targets are not the future of any column.
pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")

SHUFFLED = (
    "a repeated row falls into other mini-batches than a weight; test_weights_are_repetitions proves it for one batch"
)
ROWS_ARE_TIME_STEPS = {
    "check_methods_sample_order_invariance": "rows are time steps: their order is what the network reads",
    "check_methods_subset_invariance": "rows are time steps: the rows before one belong to its window",
}


def expected_failures(estimator):
    reason = "a repeated row is one more time step" if estimator.training == "stateful" else SHUFFLED
    expected = {"check_sample_weight_equivalence_on_dense_data": reason}
    return expected if estimator.sequence_length == 1 else expected | ROWS_ARE_TIME_STEPS


# Short windows and long steps: where rows are drawn at random, only a window's last one tells its target.
QUICK = {"hidden_size": 8, "sequence_length": 2, "learning_rate_init": 0.03, "n_jobs": 1}
# Of each estimator; `make test-all` takes all.
N_OPTIONS = None if ALL_CONFIGURATIONS else 2
OPTIONS = {
    DeepLSTMRegressor: [
        {"bidirectional": True, "pooling": "attention", "cell": LSTM(layer_norm=True)},
        {"training": "stateful", "shuffle": False, "bptt_steps": 4},
        {"cell": LSTM(projection_size=4, peephole=True), "zoneout": 0.1},
        # What the last row is freed of can only be told from several others.
        {"window_norm": "last", "target_column": 0, "sequence_length": 6, "early_stopping": False},
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "sequence_length": 1},
    ],
    DeepLSTMClassifier: [
        {"training": "stateful", "shuffle": False, "bptt_steps": 4, "recurrent_dropout": 0.1},
        {"attention_heads": 2},
        {"patch_length": 2, "linear_skip": 2, "weight_dropout": 0.1},
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "sequence_length": 1},
    ],
    DeepRNNRegressor: [{"cell": cell} for cell in ("gru", "elman", "minlstm")] + [{"cell": "gru", "dtype": "bfloat16"}],
    DeepRNNClassifier: [{"cell": cell} for cell in ("gru", "delta", "mgu", "mingru")]
    + [{"cell": "gru", "dtype": "bfloat16"}],
}


@parametrize_with_checks(
    [
        DeepLSTMRegressor(),
        DeepLSTMClassifier(),
        DeepLSTMRegressor(sequence_length=1),
        DeepLSTMClassifier(sequence_length=1),
        *(kind(**QUICK | options) for kind, several in OPTIONS.items() for options in several[:N_OPTIONS]),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
