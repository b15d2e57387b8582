"""The fitted attributes of a learner, read from its engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklstm._typing import Array


class SeenAttributes:
    """Properties of a learner whose engine `_fitted` returns."""

    _fitted: Any
    _lock: Any

    @property
    def model_(self) -> Any:  # numpydoc ignore=RT01
        """The model that predicts at present."""
        with self._lock():
            return self._fitted().champion.model

    @property
    def challenger_(self) -> Any:  # numpydoc ignore=RT01
        """The model on trial, or None."""
        with self._lock():
            challenger = self._fitted().challenger
            return None if challenger is None else challenger.model

    @property
    def n_rows_seen_(self) -> int:  # numpydoc ignore=RT01
        """Rows that have come."""
        return self._fitted().buffer.n_seen

    @property
    def n_truths_seen_(self) -> int:  # numpydoc ignore=RT01
        """Truths that have come."""
        return self._fitted().n_truths

    @property
    def n_calls_(self) -> int:  # numpydoc ignore=RT01
        """Rows and truths that were accepted since `fit`."""
        return self._fitted().n_calls

    @property
    def version_(self) -> int:  # numpydoc ignore=RT01
        """Number of the model that predicts."""
        return self._fitted().version

    @property
    def pending_(self) -> list[tuple[Any, Any]]:  # numpydoc ignore=RT01
        """Key and prediction of each row whose truth has not come."""
        with self._lock():
            return self._fitted().pending()

    @property
    def history_(self) -> dict[str, Array]:  # numpydoc ignore=RT01
        """What happened."""
        return self._fitted().history.as_dict()

    @property
    def classes_(self) -> Array:  # numpydoc ignore=RT01
        """Labels of the model."""
        return self._fitted(AttributeError).champion.first_model.classes_

    @property
    def n_features_in_(self) -> int:  # numpydoc ignore=RT01
        """Number of features."""
        return self._fitted(AttributeError).champion.first_model.n_features_in_

    @property
    def feature_names_in_(self) -> Array:  # numpydoc ignore=RT01
        """Names of the features."""
        names = self._fitted(AttributeError).names
        if names is None:
            raise AttributeError("the columns had no names in fit.")
        return np.array(names, object)
