"""Types of the public interface, and decorators of scikit-learn, which has none, with types."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from numpy.typing import ArrayLike, NDArray

__all__ = [
    "AnswerMethod",
    "Array",
    "Method",
    "ResponseMethod",
    "State",
    "available_if",
    "checks_arguments",
    "checks_parameters",
]

Array = NDArray[Any]
Method = TypeVar("Method", bound=Callable[..., Any])
ResponseMethod = Literal["predict", "predict_proba", "predict_log_proba", "predict_quantiles", "transform"]
AnswerMethod = Literal["auto", "predict", "predict_quantiles", "predict_proba", "predict_log_proba"]
State = Mapping[str, ArrayLike]

if TYPE_CHECKING:

    def checks_parameters(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
        """Check the parameters of an estimator before one of its methods runs."""

    def checks_arguments(constraints: Mapping[str, list[Any]]) -> Callable[[Method], Method]:
        """Check arguments of a function, by constraints as estimators have them for their parameters."""

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
        """Hide a method of an estimator for which a check raises AttributeError."""

else:
    from functools import partial

    from sklearn.base import _fit_context as checks_parameters
    from sklearn.utils._param_validation import validate_params
    from sklearn.utils.metaestimators import available_if

    checks_arguments = partial(validate_params, prefer_skip_nested_validation=True)
