"""Objects in a model file: estimators, cells and splits of the fixed table, each by its parameters and attributes."""

import numpy as np
import sklearn
from sklearn import config_context
from sklearn.utils.metadata_routing import MetadataRequest

from sklstm._callbacks.support import without_callbacks
from sklstm._model_files.checks import text
from sklstm._model_files.classes import kind_of, name_of, parameter_names
from sklstm._model_files.plain_states import VERSION
from sklstm._model_files.values import Reader, Unsupported, Writer
from sklstm.exceptions import ModelFormatError

REQUESTS, OUTPUT = "_metadata_request", "_sklearn_output_config"
GENERATOR = "MT19937"
IS_OUTPUT = text("default", "pandas", "polars")


class Refused(TypeError):
    """A model cannot be saved; the message names the parameter or attribute."""


class ObjectWriter(Writer):
    """A `Writer` that knows the objects of the table."""

    def encode(self, value, name=""):
        """Return a value as plain JSON."""
        if isinstance(value, np.random.RandomState):
            return self._generator(value, name)
        if isinstance(value, MetadataRequest):
            return {"requests": {method: dict(entry) for method, entry in value._serialize().items() if entry}}
        known = name_of(value)
        return super().encode(value, name) if known is None else self._object(value, known, name)

    def _object(self, value, known, name):
        attributes, names = without_callbacks(vars(value)), parameter_names(type(value))
        if hasattr(value, "_validate_params"):
            value._validate_params()
        parts, is_split = {"parameters": {}, "state": {}}, not hasattr(value, "get_params")
        for key, one in sorted(attributes.items()):
            part = "parameters" if key in names else "state"
            if part == "state" and is_split:  # what its constructor sets by itself
                continue
            self.keeps_order = known.startswith("sklearn.")
            try:
                parts[part][key] = self.encode(one, f"{name}/{key}".lstrip("/"))
            except Unsupported as error:
                raise Refused(_refusal(type(value).__name__, key, one, part, error)) from None
        if known.startswith("sklearn.") and parts["state"].keys() - {REQUESTS, OUTPUT}:
            parts["state"][VERSION] = sklearn.__version__
        return {"object": known, **parts}

    def _generator(self, value, name):
        kind, keys, position, has_gauss, gauss = value.get_state(legacy=True)
        if kind != GENERATOR:
            raise Unsupported(f"a RandomState of {kind}")
        numbers = self.encode([int(position), int(has_gauss), float(gauss)])
        return {"generator": self.encode(keys, name), "position": numbers}


def _refusal(title, key, value, part, error):
    shown = repr(value)
    shown = " ".join(shown.split()) if len(shown) <= 200 else f"{' '.join(shown[:200].split())}..."
    if part == "state":
        return f"this {title} cannot be saved: its attribute {key} is or holds {error}. Use joblib instead."
    if callable(value) and not hasattr(value, "get_params"):
        return (
            f"this {title} cannot be saved with {key}={shown}: a model file holds no code. Set it to None, or to a "
            "name, where fit alone needs it; or use joblib."
        )
    return f"this {title} cannot be saved with {key}={shown}: it is or holds {error}. Use joblib instead."


def _check_names(made, title):
    """Raise unless the members of an ensemble, or the steps of a pipeline, have names."""
    pairs = made.steps if hasattr(made, "steps") else made.estimators
    if not all(type(pair) in (list, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise ModelFormatError(f"{title} needs a name and an estimator for each member or step.")
    made._validate_names([name for name, _ in pairs])


class ObjectReader(Reader):
    """A `Reader` that makes the objects of the table."""

    KINDS = {**Reader.KINDS, "object": ("parameters", "state"), "requests": (), "generator": ("position",)}

    def _object(self, where, object, parameters, state):
        kind = kind_of(object, where)
        cls, title = kind.cls, f"{where} ({kind.name})"
        if not isinstance(parameters, dict) or not isinstance(state, dict):
            raise ModelFormatError(f"{title} has no parameters and state.")
        # Those that came after the file was written have their defaults.
        unknown = sorted(parameters.keys() - set(parameter_names(cls)))
        if unknown:
            raise ModelFormatError(f"{title} has the parameter {unknown[0][:80]!r}, which this version does not know.")
        made = cls(**{name: self.decode(one, f"{title}: {name}") for name, one in parameters.items()})
        if hasattr(made, "_validate_params"):
            made._validate_params()
        if hasattr(made, "_validate_names"):
            _check_names(made, title)
        state = {name: self.decode(one, f"{title}: {name}") for name, one in state.items()}
        self._settings(made, state, title)
        if state and kind.state is None:
            raise ModelFormatError(f"{title} has the attribute {min(state)!r}, expected none.")
        if state:
            kind.state(made, state, title)
        return made

    def _settings(self, made, state, title):
        """Take from the state, and set, what `set_output` and the requests of metadata have left."""
        output, requests = state.pop(OUTPUT, None), state.pop(REQUESTS, None)
        if output is not None:
            if not isinstance(output, dict) or set(output) != {"transform"}:
                raise ModelFormatError(f"{title}: {OUTPUT} is none.")
            IS_OUTPUT(output["transform"], f"{title}: {OUTPUT}", {})
            made.set_output(transform=output["transform"])
        with config_context(enable_metadata_routing=True):
            for method, entry in (requests or {}).items():
                setter = getattr(made, f"set_{method}_request", None)
                if setter is None:
                    raise ModelFormatError(f"{title}: requests of the method {method[:80]!r}, which it does not have.")
                setter(**entry)

    def _requests(self, where, requests):
        plain = isinstance(requests, dict) and all(isinstance(entry, dict) for entry in requests.values())
        if not plain or not all(
            one is None or isinstance(one, bool | str) for entry in requests.values() for one in entry.values()
        ):
            raise ModelFormatError(f"{where} has requests that are none.")
        return requests

    def _generator(self, where, generator, position):
        keys, numbers = self.decode(generator, where), self.decode(position, where)
        right = isinstance(keys, np.ndarray) and keys.dtype == np.uint32 and keys.shape == (624,)
        right = right and isinstance(numbers, list) and [type(n) for n in numbers] == [int, int, float]
        if not right or not 0 <= numbers[0] <= 624 or numbers[1] not in (0, 1):
            raise ModelFormatError(f"{where} is no state of a generator of random numbers.")
        generator = np.random.RandomState()
        generator.set_state((GENERATOR, keys, *numbers))
        return generator
