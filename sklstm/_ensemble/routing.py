"""What metadata an ensemble hands to which member."""

from typing import Any

from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from sklstm._ensemble.members import params_by_signature


class RoutingMixin:
    """Routing of metadata in an ensemble with `estimators` and a `_response_method`."""

    estimators: Any
    _response_method: str
    _needs_folds: Any

    def _route(self, caller, members, method=None, /, **offered):
        """Return for each member its parameters of "fit" and of "ask", the response method or another `method`.

        Where routing is enabled, requests for the response method count for another one.
        """
        offered = {key: value for key, value in offered.items() if value is not None}
        methods = {"fit": "fit", "ask": self._response_method}
        if caller == "fit" and "context" in offered:
            raise ValueError(
                f"{type(self).__name__}.fit got ['context']: the rows before X belong to the methods that ask for "
                "predictions. For fit, put them on top of X with sample_weight 0."
            )
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "score" if caller == "update" else caller, **offered)
            return {
                name: {key: dict(routed[name].get(method, {})) for key, method in methods.items()}
                for name, _ in members
            }
        extra = sorted(set(offered) - {"groups", "sample_weight", "context", "context_groups"})
        if extra:
            raise ValueError(
                f"{type(self).__name__}.{caller} got {extra}, which can be handed to members only "
                "with sklearn.set_config(enable_metadata_routing=True)."
            )
        asked = {key: value for key, value in offered.items() if key != "sample_weight"}
        if caller == "fit":
            fit = params_by_signature(members, "fit", offered)
            if not self._needs_folds():
                asked = {}
        else:
            fit = {name: {} for name, _ in members}
        ask = params_by_signature(members, method or self._response_method, asked)
        return {name: {"fit": fit[name], "ask": ask[name]} for name, _ in members}

    def get_metadata_routing(self) -> Any:
        """Say what metadata the ensemble uses itself and what it hands to which member.

        All its methods that answer rows call one method of the members: `predict` of regressors,
        `predict_proba` of classifiers, whose requests count; `fit` calls it too where the weights
        are learned. The ensemble accepts `groups`, `context` and `sample_weight` itself too: inside
        a pipeline or a search, it must request them as its members do. `update` asks as `score` does.

        Returns
        -------
        routing : MetadataRouter
            The requests of the ensemble and of its members.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        mapping = MethodMapping().add(caller="fit", callee="fit")
        callers = ["predict", "score"] + ["predict_proba"] * is_classifier(self)
        for caller in callers + ["fit"] * self._needs_folds():
            mapping.add(caller=caller, callee=self._response_method)
        for name, member in self.estimators:
            if not isinstance(member, str):
                router.add(**{name: member}, method_mapping=mapping)
        return router
