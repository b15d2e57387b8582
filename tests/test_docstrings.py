"""Docstrings whose parts are written in several classes: complete, consistent, and free of what numpydoc warns of."""

import inspect
import re

import pytest
from sklearn.utils._testing import assert_docstring_consistency

from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
    cells,
)
from sklstm._bibliography import REFERENCES
from sklstm._docstrings import complete_docstring
from sklstm._parameters import NetworkParameters

ESTIMATORS = [DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor, DeepLSTMClassifier]
ENSEMBLES = [WeightedEnsembleRegressor, WeightedEnsembleClassifier]
CELLS = [getattr(cells, name) for name in cells.__all__]
SHARED = list(inspect.signature(NetworkParameters).parameters)
# As in pyproject.toml, and what the linter reads from the source.
NOT_CHECKED = {"EX01", "SA01", "ES01", "SS05", "PR02"}


def test_estimators_describe_shared_parameters_by_the_same_text():
    pytest.importorskip("numpydoc")
    own = {name for kind in ESTIMATORS for name in inspect.signature(kind).parameters} - set(SHARED)
    assert own == {
        *("decoder", "loss", "quantile", "conformal", "huber_delta", "target_column", "group_scaling", "group_weight"),
        *("class_weight", "label_smoothing"),
    }
    assert_docstring_consistency(ESTIMATORS[:2], include_params=SHARED)
    # Of their cell, those for one kind say more.
    assert_docstring_consistency(ESTIMATORS, include_params=sorted({*SHARED} - {"cell"}))
    only_one_has = ["classes_", "target_mean_, target_scale_", "conformal_correction_"]
    only_one_has += ["group_labels_", "group_means_, group_scales_"]
    assert_docstring_consistency(ESTIMATORS, include_attrs=True, exclude_attrs=only_one_has)
    for kind in ("Regressor", "Classifier"):
        pair = [one for one in ESTIMATORS if one.__name__.endswith(kind)]
        assert_docstring_consistency(pair, include_params=True, exclude_params=["cell"])
        assert_docstring_consistency(pair, include_attrs=True)


def test_ensembles_describe_shared_parameters_by_the_same_text():
    pytest.importorskip("numpydoc")
    assert_docstring_consistency(
        ENSEMBLES, include_params=True, exclude_params=["estimators", "weights_loss", "calibration"]
    )
    own = ["n_outputs_", "classes_", "calibration_"]
    assert_docstring_consistency(ENSEMBLES, include_attrs=True, exclude_attrs=[*own, "estimators_", "oof_predictions_"])


def test_cells_describe_shared_parameters_by_the_same_text():
    pytest.importorskip("numpydoc")
    assert_docstring_consistency(CELLS, include_params=["projection_size", "layer_norm"])
    assert_docstring_consistency([cells.MinGRU, cells.MinLSTM], include_params=["candidate"])


@pytest.mark.parametrize("kind", ESTIMATORS + ENSEMBLES + CELLS)
def test_complete_docstrings_pass_numpydoc(kind):
    validate = pytest.importorskip("numpydoc.validate").validate
    found = validate(f"{kind.__module__}.{kind.__name__}")
    assert [error for error in found["errors"] if error[0] not in NOT_CHECKED] == []


@pytest.mark.parametrize("kind", ESTIMATORS + ENSEMBLES + CELLS)
def test_each_parameter_is_one_sentence(kind):
    end = r"\n\n(?:Attributes|Notes)\n-+\n"
    section = re.search(rf"Parameters\n-+\n(.*?){end}", inspect.getdoc(kind), re.DOTALL)[1]
    for entry in re.split(r"\n(?=\S)", section):
        sentence = " ".join(entry.split("\n    ")[1:])
        assert sentence.endswith("."), entry
        assert not re.search(r"[.?!] [A-Z\"]", sentence), entry


@pytest.mark.parametrize("kind", ESTIMATORS + ENSEMBLES + CELLS)
def test_each_citation_is_listed_once(kind):
    doc = inspect.getdoc(kind)
    cited, listed = set(re.findall(r"\[(\w+)\]_", doc)), re.findall(r"^\.\. \[(\w+)\]", doc, re.MULTILINE)
    assert len(cited) > (20 if kind in ESTIMATORS else 0)
    assert sorted(cited, key=str.lower) == listed


def test_each_work_of_the_bibliography_is_cited():
    docs = " ".join(inspect.getdoc(kind) for kind in ESTIMATORS + ENSEMBLES + CELLS)
    assert set(re.findall(r"\[(\w+)\]_", docs)) == set(REFERENCES)


def test_a_class_adds_to_its_base_and_may_say_it_anew():
    class Base:
        """Base.

        Parameters
        ----------
        first : int
            Of the base.
        second : int
            Of the base.

        Notes
        -----
        Of the base [Ba2016]_.
        """

    class Own:
        """Own.

        Parameters
        ----------
        third : int
            Its own.
        first : int
            Said anew.
        """

    complete_docstring(Own, Base)
    assert inspect.getdoc(Own) == (
        "Own.\n\nParameters\n----------\nfirst : int\n    Said anew.\nsecond : int\n    Of the base.\nthird : int\n"
        "    Its own.\n\nNotes\n-----\nOf the base [Ba2016]_.\n\nReferences\n----------\n"
        '.. [Ba2016] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016.'
    )


def test_a_class_without_docstring_stays_without():
    """As with ``python -OO``."""

    class Own:
        pass

    complete_docstring(Own, NetworkParameters)
    assert Own.__doc__ is None
