"""The HTML of an estimator: scikit-learn's diagram, and below it the network."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import make_pipeline

from sklstm import DeepRNNClassifier, DeepRNNRegressor, _network_summary, quantize
from sklstm.cells import GRU, LSTM, CfC

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X[:, 0]
SETTINGS = {"hidden_size": 8, "sequence_length": 6, "max_iter": 1, "random_state": 0, "n_jobs": 1}


class Rows(HTMLParser):
    """The cells of the table of the network, and whether all tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.inside = [], [], False
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def table(model):
    """Rows of the table by their first cell."""
    whole = model._repr_html_()
    assert "sk-top-container" in whole
    assert type(model).__name__ in whole
    own = _network_summary.network_html(model)
    assert whole.endswith(own)
    return {row[0]: row[1:] for row in Rows(own).rows}, own


def test_fitted():
    model = DeepRNNRegressor(**SETTINGS, n_layers=2, cell="gru", patch_length=2, linear_skip=3).fit(X, Y)
    rows, text = table(model)
    assert rows["Input"] == ["windows of 6 rows, 2 rows a step, standard scaling", "", "3", ""]
    sizes = {name: array.size for name, array in model.parameters_.items()}
    for layer, reads in ((0, "6"), (1, "8")):
        n = sum(size for name, size in sizes.items() if name.endswith(f"_l{layer}"))
        assert rows[f"Layer {layer + 1}"] == ["gru", reads, "8", f"{n:,}"]
    assert rows["Output"] == ["dense, on the last step", "8", "1", "9"]
    assert rows["Linear part"] == ["the last 3 rows", "3 × 3", "1", "9"]
    assert sum(int(row[-1].replace(",", "")) for row in list(rows.values())[2:]) == sum(sizes.values())
    assert f"{sum(sizes.values()):,} parameters; {4 * sum(sizes.values()) / 1000:.3g} KB of float32." in text
    assert "Working memory of a thread for windows of 6 rows" in text


def test_every_part_is_counted():
    model = DeepRNNRegressor(
        **SETTINGS, bidirectional=True, attention_heads=2, pooling="attention", norm="layer", feedforward="swiglu",
        output_gate="silu", n_layers=2, residual=1, linear_skip=1, cell=LSTM(peephole=True),
    ).fit(X, Y)  # fmt: skip
    decoder = DeepRNNRegressor(**SETTINGS, decoder="recurrent", linear_skip=2).fit(X, np.stack([Y, Y], axis=1))
    for one in (model, decoder):
        rows, _ = table(one)
        counted = sum(int(row[-1].replace(",", "")) for name, row in rows.items() if name not in ("Layer", "Input"))
        assert counted == sum(array.size for array in one.parameters_.values())
    assert table(decoder)[0]["Decoder"][0] == "recurrent, 2 turns for 2 rows ahead"
    options = ", two directions, silu gate, {}layer norm, feedforward block of 43 units"
    rows = table(model)[0]
    assert rows["Layer 1"][0] == "LSTM(peephole=True)" + options.format("")
    assert rows["Layer 2"][0] == "LSTM(peephole=True)" + options.format("plus layer 1, ")


@pytest.mark.parametrize("n_columns", [1, 3])
@pytest.mark.parametrize("options", [{}, {"n_layers": 2, "cell": "gru", "linear_skip": 2, "patch_length": 2}], ids=str)
def test_before_and_after_the_fit(options, n_columns):
    """The formula with the columns put in is the number of the fitted network."""
    model = DeepRNNRegressor(**SETTINGS, **options)
    before, text = table(model)
    assert "Not fitted" in text
    after, _ = table(model.fit(X[:, :n_columns], Y))
    for name in [name for name in after if name.startswith("Layer ")]:
        found = re.fullmatch(r"(?:([\d,]+) \+ )?([\d,]+) per column|([\d,]+)", before[name][-1])
        fixed, slope, constant = (int((one or "0").replace(",", "")) for one in found.groups())
        assert fixed + slope * n_columns + constant == int(after[name][-1].replace(",", ""))


def test_names_are_escaped():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["<b>a</b>", "b & c", "'c'"])
    model = DeepRNNRegressor(**SETTINGS, cell=CfC(time_column="<script>")).fit(frame.assign(**{"<script>": 1.0}), Y)
    _, text = table(model)
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&lt;b&gt;a&lt;/b&gt;, b &amp; c, &#x27;c&#x27;" in text
    assert "<script>" not in table(DeepRNNRegressor(cell=CfC(time_column="<script>")))[1]


def test_many_names_are_cut_off():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.tile(X, (1, 4)), columns=[f"c{k}" for k in range(12)])
    assert "c4, c5, …" in table(DeepRNNRegressor(**SETTINGS).fit(frame, Y))[1]


def test_other_models():
    classifier = DeepRNNClassifier(**SETTINGS, n_seeds=2, cell=GRU()).fit(X, Y > 0)
    assert "parameters in each of 2 networks" in table(classifier)[1]
    small = quantize(DeepRNNRegressor(**SETTINGS).fit(X, Y), X)
    assert "of int8." in table(small)[1]
    assert table(DeepRNNRegressor(targets="sequence"))[0]["Input"][0].startswith("sequences of rows")
    stateful = DeepRNNRegressor(training="stateful", shuffle=False)
    assert table(stateful)[0]["Output"][0] == "dense, at every step"


def test_a_representation_never_fails():
    for wrong in ({"hidden_size": "large"}, {"cell": "none"}, {"n_layers": -1}, {"window_norm": 7}):
        text = DeepRNNRegressor(**wrong)._repr_html_()
        assert "sk-top-container" in text
        assert "sklstm-network" not in text
    damaged = DeepRNNRegressor(**SETTINGS).fit(X, Y)
    damaged.sequence_length = "long"
    assert "sklstm-network" not in damaged._repr_html_()


def test_where_notebooks_look():
    model = DeepRNNRegressor()
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model)
    assert "sklstm-network" in bundle["text/html"]
    with sklearn.config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert set(model._repr_mimebundle_()) == {"text/plain"}
    assert "DeepRNNRegressor" in make_pipeline(model)._repr_html_()


def test_links_go_where_the_metadata_says(monkeypatch):
    model = DeepRNNRegressor(cell=LSTM(peephole=True))
    monkeypatch.setattr(_network_summary, "documentation_url", lambda: "")
    assert model._get_doc_link() == ""
    assert "href" not in _network_summary.network_html(model)
    monkeypatch.setattr(_network_summary, "documentation_url", lambda: "https://docs.example/sklstm")
    page = "https://docs.example/sklstm/api/sklstm.DeepRNNRegressor.html"
    assert model._get_doc_link() == page
    assert page in model._repr_html_()
    assert "https://docs.example/sklstm/api/sklstm.cells.LSTM.html" in _network_summary.network_html(model)

    class Own(DeepRNNRegressor):
        pass

    Own.__module__ = "elsewhere"
    assert Own()._get_doc_link() == ""
