"""The network of an estimator in its HTML representation: layers, sizes, parameters, memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from html import escape
from importlib import metadata
from math import prod
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils import estimator_html_repr

from sklstm._dtypes import fitted_dtype
from sklstm._network.architecture import Architecture
from sklstm._network.build import build_stack
from sklstm._options import describe_network
from sklstm._snapshot import snapshot_of

# Colours and letters are those of the page, light or dark.
STYLE = (
    "<style>.sklstm-network{font-family:monospace;margin-top:.5em}"
    ".sklstm-network table{border-collapse:collapse;margin:.3em 0;color:inherit}"
    ".sklstm-network th,.sklstm-network td{padding:.15em .8em;text-align:left;border-bottom:1px solid "
    "color-mix(in srgb,currentColor 25%,transparent)}"
    ".sklstm-network .number{text-align:right}</style>"
)
MOST_NAMES = 6
WHERE = {"last": "on the last step", "mean": "on the mean of the steps", "attention": "on the pooled steps"}
HEAD_PARTS = (
    ("Self-attention", ("norm_weight_attention", "norm_bias_attention", "weight_attention", "bias_attention")),
    ("Attention pooling", ("weight_pool",)),
    ("Decoder", ("bias_decoder",)),
    ("Output", ("weight_out", "bias_out")),
    ("Linear part", ("weight_skip", "bias_skip")),
)


class NetworkSummaryMixin:
    """HTML of an estimator: scikit-learn's diagram with the parameters, and below it the network."""

    _doc_link_module = "sklstm"

    @property
    def _doc_link_template(self) -> str:
        return f"{documentation_url()}/api/{{estimator_module}}.{{estimator_name}}.html"

    def _get_doc_link(self) -> str:
        """Return the page of the class, if the installed package says where its documentation is."""
        kind = type(self)
        if not documentation_url() or kind.__module__.partition(".")[0] != self._doc_link_module:
            return ""
        return self._doc_link_template.format(estimator_module="sklstm", estimator_name=kind.__name__)

    def _html_repr(self) -> str:
        return estimator_html_repr(self) + network_html(self)

    # scikit-learn before 1.7 knows no `_html_repr`.
    def _repr_html_inner(self) -> str:
        return self._html_repr()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return what a notebook shows."""
        shown = {"text/plain": repr(self)}
        if get_config()["display"] == "diagram":
            shown["text/html"] = self._html_repr()
        return shown


@cache
def documentation_url():
    """Return where the documentation of the installed package is, by its metadata; '' if that does not say."""
    try:
        links = metadata.metadata("sklstm").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named = {name.strip().lower(): url.strip() for name, _, url in (link.partition(",") for link in links)}
    return named.get("documentation", "").rstrip("/")


def network_html(model):
    """Return the table of the network of an estimator, fitted or not; '' where its parameters describe none."""
    try:
        model = snapshot_of(model)
        rows, notes = _of_fitted(model) if hasattr(model, "parameters_") else _of_parameters(model)
    except Exception:  # a representation never fails: parameters may be wrong, and a model damaged
        return ""
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{text}</td><td class='number'>{escape(reads)}</td>"
        f"<td class='number'>{escape(gives)}</td><td class='number'>{escape(count)}</td></tr>"
        for name, text, reads, gives, count in rows
    )
    head = "".join(f"<th>{name}</th>" for name in ("Layer", "What it is", "Reads", "Gives", "Parameters"))
    return (
        f"{STYLE}<div class='sklstm-network'><details open><summary>Network</summary><table><thead><tr>{head}</tr>"
        f"</thead><tbody>{cells}</tbody></table>{''.join(f'<div>{escape(note)}</div>' for note in notes)}</details>"
        "</div>"
    )


def _of_fitted(model):
    """Return the rows of the table, and sentences below it."""
    shape = Architecture(**model._architecture)
    networks = [model.parameters_, *(one["parameters_"] for one in getattr(model, "other_networks_", ()))]
    names = getattr(model, "feature_names_in_", None)
    sizes = {name: array.size for name, array in model.parameters_.items() if not name.startswith(("scale_", "step_"))}
    rows = _rows(model, shape, lambda part: f"{sum(sizes[name] for name in part):,}", sizes, names)
    total, n_bytes = sum(sizes.values()), sum(array.nbytes for one in networks for array in one.values())
    kind = getattr(model, "quantization_dtype_", None) or str(model.parameters_["weight_out"].dtype)
    several = f" in each of {len(networks)} networks" if len(networks) > 1 else ""
    notes = [f"{total:,} parameters{several}; {_bytes(n_bytes)} of {kind}."]
    if not hasattr(model, "quantization_dtype_"):
        notes.append(_working_memory(model, shape))
    return rows, notes


def _of_parameters(model):
    """Return the rows and sentences of an estimator that is not fitted: the columns of X are not known."""
    parameters = model.get_params(deep=False)
    unknown = {"known_columns": None, "decoder": "direct"}
    cell = parameters["cell"]
    if getattr(cell, "time_column", None) is not None:
        unknown["cell"] = type(cell)()
    shape = Architecture(**describe_network({**parameters, **unknown}, 1, 1))
    sizes, by_column, by_output = (
        {name: prod(array_shape) for name, array_shape in one.parameters}
        for one in (shape, replace(shape, input_size=2), replace(shape, n_outputs=2))
    )

    def count(part):
        fixed = sum(sizes[name] for name in part)
        a_column, a_output = (sum(one[name] for name in part) - fixed for one in (by_column, by_output))
        if a_column and a_output:
            return f"{a_column:,} per column and output"
        for more, of in ((a_column, "column"), (a_output, "output")):
            if more:
                rest = f"{fixed - more:,} + " if fixed > more else ""
                return f"{rest}{more:,} per {of}"
        return f"{fixed:,}"

    rows = _rows(model, shape, count, sizes, None, fitted=False)
    return rows, ["Not fitted: the columns of X and the outputs are not known yet."]


def _rows(model, shape, count, sizes, names, fitted=True):
    """Return name, description, inputs, outputs and parameters of each part of a network."""
    rows = [("Input", _input_text(model, shape, names, fitted), "", str(shape.input_size) if fitted else "columns", "")]
    for layer in range(shape.n_layers):
        ends = tuple(f"_l{layer}{suffix}" for suffix in shape.directions)
        part = [name for name in sizes if name.endswith(ends) and not name.startswith("bias_decoder")]
        reads = str(shape.step_size(layer)) if layer or fitted else _times("columns", shape.patch_length)
        text = _cell_text(model) + escape(_options_of_layer(shape, layer))
        rows.append((f"Layer {layer + 1}", text, reads, str(shape.output_size(layer)), count(part)))
    features, outputs = str(shape.features_size), str(shape.n_outputs) if fitted else "outputs"
    for title, begins in HEAD_PARTS:
        part = [name for name in sizes if name.startswith(begins)]
        if not part:
            continue
        text, reads, gives = "", features, features
        if title == "Self-attention":
            text = f"{shape.attention_heads} head{'s' * (shape.attention_heads > 1)}"
        elif title == "Decoder":
            text = f"{shape.decoder}, {shape.n_turns} turn{'s' * (shape.n_turns > 1)} for {shape.horizon} rows ahead"
        elif title == "Output":
            where = "at every step" if shape.every_step else WHERE[shape.pooling]
            text, gives = f"dense, {where}", outputs
        elif title == "Linear part":
            columns = str(shape.input_size) if fitted else "columns"
            text, reads, gives = f"the last {shape.linear_skip} rows", _times(columns, shape.linear_skip), outputs
        rows.append((title, escape(text), reads, gives, count(part)))
    return rows


def _input_text(model, shape, names, fitted):
    parts = []
    if model.targets == "sequence":
        parts.append("sequences of rows")
    elif model.training == "stateful":
        parts.append("all rows of a series, states carried")
    else:
        parts.append(f"windows of {model.sequence_length} rows")
    if shape.patch_length > 1:
        parts.append(f"{shape.patch_length} rows a step")
    if shape.window_norm is not None:
        parts.append(f"window_norm={shape.window_norm!r}")
    elif model.input_scaling is not None:
        parts.append(f"{model.input_scaling} scaling")
    text = ", ".join(parts)
    if fitted and names is not None:
        more = ", …" if len(names) > MOST_NAMES else ""
        text += f"; {', '.join(map(str, names[:MOST_NAMES]))}{more}"
    return escape(text)


def _cell_text(model):
    """Return the cell as it was given, with a link to its page if there is one."""
    cell = model.cell
    text, url = escape(repr(cell) if not isinstance(cell, str) else cell), documentation_url()
    if not url or isinstance(cell, str):
        return text
    page = escape(f"{url}/api/sklstm.cells.{type(cell).__name__}.html", quote=True)
    return f"<a rel='noreferrer' target='_blank' href='{page}'>{text}</a>"


def _options_of_layer(shape, layer):
    """Return what a layer does with its states, in this order."""
    source, units = shape.residual_from(layer), shape.feedforward_size(layer)
    parts = [
        "two directions" if shape.bidirectional else "",
        f"{shape.output_gate} gate" if shape.output_gate else "",
        f"plus layer {source + 1}" if source >= 0 else "",
        f"{shape.norm} norm{' first' * shape.norm_first}" if shape.norm else "",
        f"feedforward block of {units} units" if units else "",
    ]
    return "".join(f", {part}" for part in parts if part)


def _working_memory(model, shape):
    """Return a sentence about the memory that a thread takes beside the parameters."""
    dtype = fitted_dtype(model, model.parameters_["weight_out"].dtype)
    stack, length = build_stack(shape, dtype), int(min(model.sequence_length, 1 << 20))
    one, _, _ = stack.workspace_bytes(1, length)
    batch = model.batch_size if isinstance(model.batch_size, (int, np.integer)) else 128
    many, _, _ = stack.workspace_bytes(int(batch), length, training=True)
    return (
        f"Working memory of a thread for windows of {length} rows: {_bytes(one)} to predict one, {_bytes(many)} to "
        f"train batches of {batch}."
    )


def _times(text, factor):
    return text if factor == 1 else f"{factor} × {text}"


def _bytes(n):
    """Return a number of bytes in a unit that suits it."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:,} {unit}" if unit == "bytes" else f"{n:,.3g} {unit}"
        n /= 1000
    raise AssertionError
