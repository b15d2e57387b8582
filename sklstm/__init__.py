"""Recurrent networks that feel like scikit-learn: estimators with their own kernels for the CPU."""

import importlib as _importlib
import typing as _typing

from sklstm._version import __version__

if _typing.TYPE_CHECKING:
    import sklstm.compression as compression  # noqa: PLR0402  # no module imports `sklstm` itself
    from sklstm.classifier import DeepLSTMClassifier, DeepRNNClassifier
    from sklstm.ensemble import WeightedEnsembleClassifier, WeightedEnsembleRegressor
    from sklstm.exceptions import (
        InconsistentVersionWarning,
        ModelFormatError,
        PerformanceWarning,
        QuantizationWarning,
        TimeOrderWarning,
    )
    from sklstm.exchange import from_keras, from_torch, to_onnx, to_torch
    from sklstm.feature_selection import LSTMFeatureSelector
    from sklstm.persistence import load_model, save_model
    from sklstm.quantization import quantize
    from sklstm.regressor import DeepLSTMRegressor, DeepRNNRegressor

__all__ = [
    "DeepLSTMClassifier",
    "DeepLSTMRegressor",
    "DeepRNNClassifier",
    "DeepRNNRegressor",
    "InconsistentVersionWarning",
    "LSTMFeatureSelector",
    "ModelFormatError",
    "PerformanceWarning",
    "QuantizationWarning",
    "TimeOrderWarning",
    "WeightedEnsembleClassifier",
    "WeightedEnsembleRegressor",
    "__version__",
    "compression",
    "from_keras",
    "from_torch",
    "load_model",
    "quantize",
    "save_model",
    "to_onnx",
    "to_torch",
]

# Imported when asked for: scikit-learn's own feature selection alone takes 60 ms.
_MODULES = {
    "DeepLSTMClassifier": "classifier",
    "DeepLSTMRegressor": "regressor",
    "DeepRNNClassifier": "classifier",
    "DeepRNNRegressor": "regressor",
    "InconsistentVersionWarning": "exceptions",
    "LSTMFeatureSelector": "feature_selection",
    "ModelFormatError": "exceptions",
    "PerformanceWarning": "exceptions",
    "QuantizationWarning": "exceptions",
    "TimeOrderWarning": "exceptions",
    "WeightedEnsembleClassifier": "ensemble",
    "WeightedEnsembleRegressor": "ensemble",
    "from_keras": "exchange",
    "from_torch": "exchange",
    "load_model": "persistence",
    "quantize": "quantization",
    "save_model": "persistence",
    "to_onnx": "exchange",
    "to_torch": "exchange",
}
# Reached as an attribute, without an import of their own.
_SUBMODULES = ("compression",)


if not _typing.TYPE_CHECKING:  # or every name would do

    def __getattr__(name: str) -> object:
        """Import the module of a public name."""
        if name in _SUBMODULES:
            return _importlib.import_module(f"{__name__}.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value


def __dir__() -> list[str]:
    """Return the public names too, imported or not."""
    return sorted({*globals(), *__all__})
