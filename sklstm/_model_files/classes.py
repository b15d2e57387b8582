"""The classes that a model file can name: a fixed table, from which they are imported. No other name leads anywhere."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, NamedTuple

from sklstm._model_files import plain_states, states
from sklstm.exceptions import ModelFormatError


class Kind(NamedTuple):
    """A class that a file can hold.

    Attributes
    ----------
    module, name : str
        Where it is imported from.
    state : callable or None
        ``state(made, attributes, where)`` checks fitted attributes and gives them to a new object; None where it has
        none.
    """

    module: str
    name: str
    state: Any = None

    @property
    def cls(self) -> type:
        """The class itself."""
        return getattr(importlib.import_module(self.module), self.name)


_MODELS = {
    "DeepRNNRegressor": ("regressor", states.REGRESSOR),
    "DeepLSTMRegressor": ("regressor", states.REGRESSOR),
    "DeepRNNClassifier": ("classifier", states.CLASSIFIER),
    "DeepLSTMClassifier": ("classifier", states.CLASSIFIER),
    "LSTMFeatureSelector": ("feature_selection", states.SELECTOR),
    "WeightedEnsembleRegressor": ("ensemble", states.ENSEMBLE_OF_REGRESSORS),
    "WeightedEnsembleClassifier": ("ensemble", states.ENSEMBLE_OF_CLASSIFIERS),
    "CollectionTransformer": ("preprocessing", states.COLLECTION_TRANSFORMER),
}
_CELLS = (
    *("GRU", "LMU", "LRU", "LSTM", "MGU", "MLSTM", "QRNN", "RGLRU", "RHN", "RWKV", "S4D", "S5", "SRU", "CfC", "Delta"),
    *("Elman", "ExpLSTM", "IndRNN", "LinearAttention", "Mamba", "MinGRU", "MinLSTM", "Retention", "SecondOrder"),
)
_SPLITS = {
    "sklstm.model_selection": ("PurgedTimeSeriesSplit", "PanelTimeSeriesSplit"),
    "sklearn.model_selection": ("TimeSeriesSplit", "KFold", "StratifiedKFold", "GroupKFold"),
}
#: What a file may hold, by the name that stands there.
KINDS = {
    **{f"sklstm.{name}": Kind(f"sklstm.{module}", name, state) for name, (module, state) in _MODELS.items()},
    **{f"sklstm.cells.{name}": Kind("sklstm.cells", name) for name in _CELLS},
    **{f"{module}.{name}": Kind(module, name) for module, names in _SPLITS.items() for name in names},
    **{
        f"{module}.{name}": Kind(module, name, state)
        for module, names in plain_states.CLASSES.items()
        for name, state in names.items()
    },
}


def name_of(value: object) -> str | None:
    """Return the name in the table of the class of an object, None where it is not there.

    Parameters
    ----------
    value : object
    """
    cls = type(value)
    package = cls.__module__.partition(".")[0]
    found = (name for name, kind in KINDS.items() if kind.name == cls.__name__ and name.startswith(f"{package}."))
    return next((name for name in found if KINDS[name].cls is cls), None)


def kind_of(name: object, where: str) -> Kind:
    """Return the entry of a name that stands in a file.

    Parameters
    ----------
    name : object
    where : str
    """
    if not isinstance(name, str) or name not in KINDS:
        raise ModelFormatError(f"{where} is of class {str(name)[:80]!r}, which is none that model files hold.")
    return KINDS[name]


def parameter_names(cls: Any) -> list[str]:
    """Return the names of the parameters of the constructor, of estimators, cells and splits.

    Parameters
    ----------
    cls : type
        Of the table.
    """
    return cls._get_param_names() if hasattr(cls, "_get_param_names") else list(inspect.signature(cls).parameters)
