"""Docstrings whose parts are written in several classes: complete, consistent, and free of what numpydoc warns of."""

import inspect
import re

import pytest
from sklearn.utils._testing import assert_docstring_consistency

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._docstrings import inherit_docstring
from sklstm._parameters import NetworkParameters

ESTIMATORS = [DeepLSTMRegressor, DeepLSTMClassifier]
SHARED = list(inspect.signature(NetworkParameters).parameters)
# As in pyproject.toml, and what the linter reads from the source.
NOT_CHECKED = {"EX01", "SA01", "ES01", "SS05", "PR02"}


def test_estimators_describe_shared_parameters_by_the_same_text():
    pytest.importorskip("numpydoc")
    own = {name for kind in ESTIMATORS for name in inspect.signature(kind).parameters} - set(SHARED)
    assert own == {"loss", "quantile", "huber_delta", "target_column", "class_weight", "label_smoothing"}
    assert_docstring_consistency(ESTIMATORS, include_params=SHARED)
    assert_docstring_consistency(
        ESTIMATORS, include_attrs=True, exclude_attrs=["classes_", "target_mean_, target_scale_"]
    )


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_complete_docstrings_pass_numpydoc(kind):
    validate = pytest.importorskip("numpydoc.validate").validate
    found = validate(f"{kind.__module__}.{kind.__name__}")
    assert [error for error in found["errors"] if error[0] not in NOT_CHECKED] == []


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_each_parameter_is_one_sentence(kind):
    section = re.search(r"Parameters\n-+\n(.*?)\n\nAttributes\n-+\n", inspect.getdoc(kind), re.DOTALL)[1]
    for entry in re.split(r"\n(?=\S)", section):
        sentence = " ".join(entry.split("\n    ")[1:])
        assert sentence.endswith("."), entry
        assert not re.search(r"[.?!] [A-Z\"]", sentence), entry


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_each_citation_is_listed_once(kind):
    doc = inspect.getdoc(kind)
    cited, listed = set(re.findall(r"\[(\w+)\]_", doc)), re.findall(r"^\.\. \[(\w+)\]", doc, re.MULTILINE)
    assert len(cited) > 20
    assert sorted(cited, key=str.lower) == listed


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

    inherit_docstring(Own, Base)
    assert inspect.getdoc(Own) == (
        "Own.\n\nParameters\n----------\nfirst : int\n    Said anew.\nsecond : int\n    Of the base.\nthird : int\n"
        "    Its own.\n\nNotes\n-----\nOf the base [Ba2016]_.\n\nReferences\n----------\n"
        '.. [Ba2016] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016.'
    )


def test_a_class_without_docstring_stays_without():
    """As with ``python -OO``."""

    class Own:
        pass

    inherit_docstring(Own, NetworkParameters)
    assert Own.__doc__ is None
