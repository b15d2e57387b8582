"""Pickles of the estimators: they carry the version of the package, and another version that reads them warns."""

from typing import Any, cast

from sklstm._version import __version__
from sklstm._warn import warn_user
from sklstm.exceptions import InconsistentVersionWarning

_KEY = "_sklstm_version"


class VersionedPickles:
    """The part of an estimator, before `BaseEstimator` among its bases, that makes and reads pickles."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy is made of: the attributes, and the version of the package."""
        state = cast("dict[str, Any]", super().__getstate__())
        return {**state, _KEY: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or a copy; of another version with a warning."""
        state = dict(state)
        version = state.pop(_KEY, "of before 0.1.0")
        if version != __version__:
            warn_user(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklstm_version=__version__,
                    original_sklstm_version=version,
                )
            )
        super().__setstate__(state)  # type: ignore[misc]
