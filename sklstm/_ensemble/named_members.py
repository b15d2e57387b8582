"""What an ensemble makes of its members before they are fitted: their parameters, tags and display."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Self

from sklearn.utils import Bunch, get_tags
from sklearn.utils.metaestimators import _BaseComposition


class NamedMembers(_BaseComposition):
    """An estimator with named members, the pairs of `estimators`."""

    estimators: Any
    # Names of the members of the last `fit`, and whether each was fitted and not dropped.
    _fitted_names: dict[str, bool]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of the ensemble and of its members.

        Parameters
        ----------
        deep : bool, default=True
            Whether to give the members by name, and their parameters as ``name__parameter``.

        Returns
        -------
        params : dict
            Values by name.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the ensemble and of its members.

        Parameters
        ----------
        **params : dict
            Parameters of the ensemble; ``name=estimator`` or ``name="drop"`` to replace or drop a
            member; ``name__parameter=value`` for a parameter of a member.

        Returns
        -------
        self : object
            The ensemble.
        """
        self._set_params("estimators", **params)
        return self

    @property
    def named_estimators(self) -> Any:
        """Members as they were given, by name.

        Returns
        -------
        named_estimators : Bunch
            Unfitted members; :attr:`named_estimators_` holds the fitted ones.
        """
        return Bunch(**dict(self.estimators))

    @property
    def named_estimators_(self) -> Any:
        """Fitted members by name.

        Returns
        -------
        named_estimators_ : Bunch
            A dropped member is the string "drop".
        """
        if not hasattr(self, "estimators_"):
            raise AttributeError(f"this {type(self).__name__} has no named_estimators_: it is not fitted.")
        fitted = iter(self.estimators_)
        return Bunch(**{name: next(fitted) if is_kept else "drop" for name, is_kept in self._fitted_names.items()})

    def _names(self):
        """Return the names of the fitted members."""
        return [name for name, is_kept in self._fitted_names.items() if is_kept]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle; one of before has the fitted members by name."""
        members = state.get("named_estimators_")
        if members is not None:
            state = {name: value for name, value in state.items() if name != "named_estimators_"}
            state["_fitted_names"] = {name: not isinstance(member, str) for name, member in members.items()}
        super().__setstate__(state)

    def _member_tags(self):
        """Return the tags of all members; none if `estimators` is malformed, which `fit` reports."""
        with suppress(AttributeError, TypeError, ValueError):
            return [get_tags(member) for _, member in self.estimators if not isinstance(member, str)]
        return []

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        members = self._member_tags()
        if members:
            for name in ("allow_nan", "sparse", "three_d_array"):
                value = all(getattr(member.input_tags, name) for member in members)
                setattr(tags.input_tags, name, value)
            tags.non_deterministic = any(member.non_deterministic for member in members)
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimators_")

    def _sk_visual_block_(self):
        try:
            from sklearn.utils._repr_html.estimator import _VisualBlock
        except ImportError:  # scikit-learn 1.6
            from sklearn.utils._estimator_html_repr import _VisualBlock
        names, members = zip(*self.estimators, strict=True)
        return _VisualBlock("parallel", members, names=names)
