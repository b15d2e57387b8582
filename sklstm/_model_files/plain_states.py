"""Estimators of scikit-learn that a model file can hold: those whose fitted attributes are a few numbers and arrays."""

from sklstm._model_files.checks import (
    anything,
    array,
    either,
    entries,
    integer,
    number,
    optional,
    refuse,
    sequence,
    text,
)
from sklstm.exceptions import ModelFormatError

VERSION = "_sklearn_version"
_COLUMN = array("f", "features", finite=False)
_COLUMN_OR_NONE = optional(_COLUMN)
_SEEN = either(number(0), array("if", "features"))
_COMPONENTS = array("f", None, finite=False)
_NUMBERS = either(number(), array("f", None), array("f", None, None))
_COUNTS = optional(either(integer(0), sequence(integer(0)), array("i", None)))
_OF_ALL = {"n_features_in_": integer(1)}
_OF_SOME = {"feature_names_in_": array("O", "features")}


def _coefficients(value, where, sizes):
    either(array("f", "features"), array("f", None, "features"))(value, where, sizes)


def _nothing(value, where, sizes):
    if value is not None:
        refuse(where, value, "None")


def _state(required, others=None):
    """Return the function that checks the attributes of an estimator and gives them to a new one."""
    check = entries({**_OF_ALL, **required}, {**_OF_SOME, **(others or {})})

    def give(made, state, where):
        """Check them and give them; scikit-learn itself warns of another version."""
        version = state.pop(VERSION, None)
        text()(version, f"{where}: {VERSION}", {})
        integer(1)(state.get("n_features_in_"), f"{where}: n_features_in_", {})
        check(state, where, {"features": state["n_features_in_"]})
        try:
            made.__setstate__({**vars(made), **state, VERSION: version})
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelFormatError(f"{where}: {error}.") from error

    return give


_LINEAR = {"coef_": _coefficients, "intercept_": _NUMBERS}
#: By module and name, with the check of the fitted attributes.
CLASSES = {
    "sklearn.pipeline": {"Pipeline": None},
    "sklearn.preprocessing": {
        "StandardScaler": _state(
            {"mean_": _COLUMN_OR_NONE, "var_": _COLUMN_OR_NONE, "scale_": _COLUMN_OR_NONE, "n_samples_seen_": _SEEN}
        ),
        "MinMaxScaler": _state(
            {
                **dict.fromkeys(("min_", "scale_", "data_min_", "data_max_", "data_range_"), _COLUMN),
                "n_samples_seen_": integer(0),
            }
        ),
        "MaxAbsScaler": _state({"scale_": _COLUMN, "max_abs_": _COLUMN, "n_samples_seen_": integer(0)}),
        "RobustScaler": _state({"center_": _COLUMN_OR_NONE, "scale_": _COLUMN_OR_NONE}),
    },
    "sklearn.decomposition": {
        "PCA": _state(
            {
                "mean_": _COLUMN,
                "components_": array("f", None, "features"),
                "noise_variance_": number(0),
                "n_components_": integer(0),
                "n_samples_": integer(1),
                "_fit_svd_solver": text(),
                **dict.fromkeys(("explained_variance_", "explained_variance_ratio_", "singular_values_"), _COMPONENTS),
            }
        )
    },
    "sklearn.impute": {
        "SimpleImputer": _state(
            {
                "statistics_": array("fiO", "features", finite=False),
                "indicator_": _nothing,
                "_fit_dtype": anything,
            },
            {"_fill_dtype": anything},  # not in 1.6
        )
    },
    "sklearn.linear_model": {
        "LinearRegression": _state(_LINEAR, {"rank_": integer(0), "singular_": array("f", None)}),
        "Ridge": _state(_LINEAR, {"n_iter_": _COUNTS, "solver_": text()}),
        "Lasso": _state(_LINEAR, {"n_iter_": _COUNTS, "dual_gap_": _NUMBERS, "l1_ratio": number(1)}),
        "ElasticNet": _state(_LINEAR, {"n_iter_": _COUNTS, "dual_gap_": _NUMBERS}),
        "LogisticRegression": _state({**_LINEAR, "classes_": array("biufOU", None)}, {"n_iter_": _COUNTS}),
    },
}
