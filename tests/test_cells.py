"""The public cells: names and objects, what they stand for, how they are searched and refused."""

import copy
import pickle

import numpy as np
import pytest
from cell_objects import KINDS, OBJECTS, each_cell
from estimator_case import SMALL, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from reference.cells import REFERENCE_CELLS
from reference.layer import layer_forward
from reference.lstm import table_windows
from reference.masks import mean_masks
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor, cells
from sklstm._cell_choice import _KINDS, cell_of_kernel, check_cell, describe_cell
from sklstm._network.cells import CELLS
from sklstm.cells import (
    GRU,
    LMU,
    LRU,
    LSTM,
    MGU,
    MLSTM,
    QRNN,
    RGLRU,
    RHN,
    RWKV,
    S4D,
    S5,
    SRU,
    Cell,
    CfC,
    Delta,
    Elman,
    ExpLSTM,
    IndRNN,
    LinearAttention,
    Mamba,
    MinGRU,
    MinLSTM,
    Retention,
    SecondOrder,
)

X = np.random.default_rng(3).normal(size=(90, 3))
Y = 20.0 + 5.0 * (X[:, 0] + np.roll(X[:, 1], 1))
LABELS = np.where(Y > 20, "up", "down")
TARGETS = {DeepRNNRegressor: Y, DeepRNNClassifier: LABELS, DeepLSTMRegressor: Y, DeepLSTMClassifier: LABELS}

NAMES = list(_KINDS)
each_kind = pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier])


def fitted(kind, **parameters):
    return kind(**{**SMALL, **parameters}).fit(X, TARGETS[kind])


# Names and objects


def test_every_cell_has_a_name_and_objects():
    assert OBJECTS.keys() == CELLS.keys()
    assert {type(check_cell(name)) for name in NAMES} == set(KINDS)
    assert [name.replace("_", "") for name in NAMES] == [type(check_cell(name)).__name__.lower() for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_the_defaults(name):
    kind = type(check_cell(name))
    assert check_cell(name).get_params() == kind().get_params()
    assert describe_cell(name) == describe_cell(kind())


@pytest.mark.parametrize("kernel", CELLS)
def test_an_entry_of_the_registry_is_named_as_in_the_constructor(kernel):
    named = eval(cell_of_kernel(kernel), dict(vars(cells)))
    assert describe_cell(named)["cell"] == kernel


def test_an_error_names_no_key_of_the_registry():
    model = fitted(DeepRNNRegressor, cell=GRU(), warm_start=True).set_params(cell__reset_after=False)
    with pytest.raises(ValueError, match=r"cell=GRU\(reset_after=False\), not cell='gru'\. .* or set cell back"):
        model.fit(X, Y)


def test_an_error_names_the_sizes_of_a_cell():
    model = fitted(DeepRNNRegressor, cell=LMU(order=4), warm_start=True).set_params(cell__theta=9)
    expected = (
        r"a cell with the sizes \[4, 9\], not a cell with the sizes \[4, 32\]\. .* set the parameters of cell back"
    )
    with pytest.raises(ValueError, match=expected):
        model.fit(X, Y)


@pytest.mark.parametrize(
    ("cell", "kernel"),
    [
        (GRU(), "gru"),
        (GRU(reset_after=False), "gru_reset_before"),
        (Elman(), "elman"),
        (Elman(activation="relu"), "elman_relu"),
        (MinGRU(), "mingru"),
        (MinGRU(candidate="tanh"), "mingru_tanh"),
        (MinGRU(candidate="relu"), "mingru_relu"),
        (MinLSTM(candidate="silu"), "minlstm_silu"),
        (MinLSTM(), "minlstm"),
        (MinLSTM(candidate="tanh"), "minlstm_tanh"),
        (IndRNN(), "indrnn"),
        (IndRNN(activation="tanh"), "indrnn_tanh"),
        (SRU(), "sru"),
        (RGLRU(), "rglru"),
        (RGLRU(convolution=True), "rglru_convolution"),
        (QRNN(), "qrnn_fo"),
        (QRNN(pooling="f"), "qrnn_f"),
        (QRNN(pooling="ifo"), "qrnn_ifo"),
        (QRNN(window=3), "qrnn_fo_3"),
        (QRNN(pooling="f", window=3), "qrnn_f_3"),
        (ExpLSTM(), "explstm"),
        (Elman(activation="softsign"), "elman_softsign"),
        (Elman(activation="silu"), "elman_silu"),
        (IndRNN(activation="softsign"), "indrnn_softsign"),
        (IndRNN(activation="silu"), "indrnn_silu"),
        (SecondOrder(), "second_order"),
        (CfC(time_column=2), "cfc_backbone"),
        (CfC(backbone=False), "cfc"),
        (MLSTM(), "mlstm"),
        (RHN(), "rhn_2"),
        (RHN(depth=4), "rhn_4"),
        (S4D(), "s4d"),
        (S5(), "s5"),
        (LRU(), "lru"),
        (Mamba(), "mamba"),
        (RWKV(), "rwkv"),
        (Retention(), "retention"),
        (LinearAttention(), "linear_attention"),
        (LMU(order=3), "lmu"),
    ],
    ids=str,
)
def test_options_that_choose_the_equations(cell, kernel):
    assert describe_cell(cell)["cell"] == kernel


@each_cell
def test_what_an_object_stands_for(cell):
    numbers = CELLS[cell].numbers
    plain = {"cell": cell, "peephole": False, "projection_size": 0, "cell_norm": False, "cell_numbers": numbers}
    assert describe_cell(OBJECTS[cell]) == plain
    options = clone(OBJECTS[cell]).set_params(projection_size=np.int64(3), layer_norm=np.True_)
    described = describe_cell(options)
    assert described == {**plain, "projection_size": 3, "cell_norm": True}
    assert [type(value) for value in described.values()] == [str, bool, int, bool, tuple]


def test_peepholes_are_an_option_of_the_lstm():
    assert describe_cell(LSTM(peephole=True))["peephole"] is True
    with pytest.raises(TypeError, match="unexpected keyword argument 'peephole'"):
        GRU(peephole=True)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_are_estimators_of_keywords(kind):
    cell = kind(projection_size=5)
    assert repr(cell) == f"{kind.__name__}(projection_size=5)"
    assert clone(cell) is not cell
    assert clone(cell).get_params() == cell.get_params()
    assert set(kind._parameter_constraints) == set(cell.get_params())
    with pytest.raises(TypeError, match="positional"):
        kind(5)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (LSTM(peephole=1), "The 'peephole' parameter of LSTM must be .*bool.* Got 1"),
        (GRU(reset_after="no"), "The 'reset_after' parameter of GRU must be .* Got 'no'"),
        (Elman(activation="sigmoid"), "The 'activation' parameter of Elman must be a str among .* Got 'sigmoid'"),
        (MinGRU(candidate=None), "The 'candidate' parameter of MinGRU must be .* Got None"),
        (MinLSTM(candidate="gelu"), "The 'candidate' parameter of MinLSTM must be .* Got 'gelu'"),
        (IndRNN(activation="sigmoid"), "The 'activation' parameter of IndRNN must be a str among .* Got 'sigmoid'"),
        (IndRNN(recurrent_bound=0), "The 'recurrent_bound' parameter of IndRNN must be .* Got 0"),
        (IndRNN(recurrent_bound="T"), "The 'recurrent_bound' parameter of IndRNN must be .* Got 'T'"),
        (IndRNN(long_memory=1.5), "The 'long_memory' parameter of IndRNN must be .* Got 1.5"),
        (SRU(projection_size=-1), "The 'projection_size' parameter of SRU must be .* Got -1"),
        (RGLRU(convolution=4), "The 'convolution' parameter of RGLRU must be .* Got 4"),
        (QRNN(pooling="of"), "The 'pooling' parameter of QRNN must be a str among .* Got 'of'"),
        (QRNN(window=1), "The 'window' parameter of QRNN must be .* Got 1"),
        (ExpLSTM(projection_size=0), "The 'projection_size' parameter of ExpLSTM must be .* Got 0"),
        (RGLRU(layer_norm=None), "The 'layer_norm' parameter of RGLRU must be .* Got None"),
        (SecondOrder(layer_norm=2), "The 'layer_norm' parameter of SecondOrder must be .* Got 2"),
        (CfC(backbone=1.5), "The 'backbone' parameter of CfC must be .*bool.* Got 1.5"),
        (MLSTM(layer_norm=None), "The 'layer_norm' parameter of MLSTM must be .* Got None"),
        (RHN(depth=1), "The 'depth' parameter of RHN must be .* Got 1"),
        (CfC(time_column=-1), "The 'time_column' parameter of CfC must be .* Got -1"),
        (S4D(state_size=0), "The 'state_size' parameter of S4D must be .* Got 0"),
        (S4D(discretization="euler"), "The 'discretization' parameter of S4D must be a str among .* Got 'euler'"),
        (S4D(init="random"), "The 'init' parameter of S4D must be a str among .* Got 'random'"),
        (S5(discretization=None), "The 'discretization' parameter of S5 must be .* Got None"),
        (S5(init="hippo"), "The 'init' parameter of S5 must be a str among .* Got 'hippo'"),
        (LRU(r_min=-0.1), "The 'r_min' parameter of LRU must be .* Got -0.1"),
        (LRU(r_max=1.5), "The 'r_max' parameter of LRU must be .* Got 1.5"),
        (LRU(r_min=0.9, r_max=0.5), "r_min=0.9 of LRU must be at most r_max=0.5"),
        (LRU(max_phase=7.0), "The 'max_phase' parameter of LRU must be .* Got 7.0"),
        (Mamba(state_size=257), "The 'state_size' parameter of Mamba must be .* Got 257"),
        (Mamba(dt_rank=0), "The 'dt_rank' parameter of Mamba must be .* Got 0"),
        (RWKV(projection_size=0.5), "The 'projection_size' parameter of RWKV must be .* Got 0.5"),
        (Retention(head_size=1.0), "The 'head_size' parameter of Retention must be .* Got 1.0"),
        (Retention(rotary="yes"), "The 'rotary' parameter of Retention must be .* Got 'yes'"),
        (LinearAttention(head_size=0), "The 'head_size' parameter of LinearAttention must be .* Got 0"),
        (LMU(order=65), "The 'order' parameter of LMU must be .* Got 65"),
        (LMU(theta=0.5), "The 'theta' parameter of LMU must be .* Got 0.5"),
        (MGU(projection_size=0), "The 'projection_size' parameter of MGU must be .* Got 0"),
        (Delta(layer_norm="gates"), "The 'layer_norm' parameter of Delta must be .* Got 'gates'"),
    ],
    ids=str,
)
@each_kind
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_of_cells_are_checked(kind, method, cell, message):
    model = kind(cell=cell)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X, TARGETS[kind])
    assert not hasattr(model, "parameters_")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("moo", r"cell='moo' is not known; there are 'lstm', 'gru', .*, 'lmu'\.$"),
        ("GRU", r"cell='GRU' is not known; .* did you mean 'gru'\?"),
        ("mini-gru", r"cell='mini-gru' is not known; .* did you mean 'mingru'\?"),
        (GRU, r"cell=GRU is a class, expected an object: set cell=GRU\(\)\."),
        (None, "cell must be one of the names 'lstm', .* or an object of sklstm.cells, found None of type NoneType"),
        (["lstm"], r"found \['lstm'\] of type list"),
        (Cell, "or an object of sklstm.cells, found <class 'sklstm.cells._base.Cell'> of type"),
        (DeepRNNRegressor(), r"found DeepRNNRegressor\(\) of type DeepRNNRegressor"),
    ],
    ids=str,
)
@each_kind
def test_what_is_no_cell_is_refused(kind, cell, message):
    model = kind(cell=cell)
    for error in (ValueError, TypeError):
        with pytest.raises(error, match=message):
            model.fit(X, TARGETS[kind])


def test_the_base_is_no_cell():
    with pytest.raises(ValueError, match=r"or an object of sklstm.cells, found Cell\(\) of type Cell"):
        DeepRNNRegressor(cell=Cell()).fit(X, Y)


# Estimators with one kind of cell


@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
@pytest.mark.parametrize("cell", ["gru", MinGRU()], ids=str)
def test_lstm_estimators_refuse_other_cells(kind, cell):
    general = kind.__name__.replace("LSTM", "RNN")
    with pytest.raises(ValueError, match=f"cell=.*is no LSTM, and {kind.__name__} has no other cells; use {general}"):
        kind(cell=cell).fit(X, TARGETS[kind])


@pytest.mark.parametrize(
    ("general", "kind"), [(DeepRNNRegressor, DeepLSTMRegressor), (DeepRNNClassifier, DeepLSTMClassifier)]
)
@pytest.mark.parametrize("cell", ["lstm", LSTM(peephole=True, projection_size=2)], ids=str)
def test_both_estimators_are_the_same_with_an_lstm(general, kind, cell):
    assert kind().get_params() == general().get_params()
    assert parameters_equal(fitted(kind, cell=cell), fitted(general, cell=cell))


# Parameters of a cell through its estimator


@each_kind
def test_parameters_of_an_object_are_those_of_its_estimator(kind):
    model = kind(cell=LSTM(peephole=True))
    assert {k: v for k, v in model.get_params().items() if k.startswith("cell__")} == {
        "cell__layer_norm": False,
        "cell__peephole": True,
        "cell__projection_size": None,
    }
    assert model.set_params(cell__projection_size=2).cell.projection_size == 2
    # Both at once: the object comes first.
    assert model.set_params(cell=GRU(), cell__reset_after=False).cell.reset_after is False
    copied = clone(model)
    assert copied.cell is not model.cell
    assert copied.cell.get_params() == model.cell.get_params()
    assert "cell=GRU(reset_after=False)" in repr(model)
    with pytest.raises(ValueError, match="Invalid parameter 'peephole' for estimator GRU"):
        model.set_params(cell__peephole=True)


@each_kind
def test_a_name_has_no_parameters(kind):
    model = kind(cell="gru")
    assert not [name for name in model.get_params() if name.startswith("cell__")]
    expected = r"cell__reset_after cannot be set where cell='gru' is a name, .*; set an object .*, cell=GRU\(\)\."
    with pytest.raises(ValueError, match=expected):
        model.set_params(hidden_size=3, cell__reset_after=False)
    assert model.hidden_size == 64
    with pytest.raises(ValueError, match="cell='gre' is not known"):
        model.set_params(cell="gre", cell__reset_after=False)
    with pytest.raises(ValueError, match=r"cell must be one of the names .* found None"):
        kind(cell=None).set_params(cell__reset_after=False)
    with pytest.raises(ValueError, match=r"cell=GRU is a class, expected an object"):
        model.set_params(cell=GRU, cell__reset_after=False)


@each_kind
def test_fit_leaves_the_object_alone(kind):
    cell = LSTM(peephole=np.True_, projection_size=np.int64(2))
    before = copy.deepcopy(vars(cell))
    model = fitted(kind, cell=cell)
    model.partial_fit(X, TARGETS[kind]).predict(X)
    assert model.cell is cell
    assert vars(cell) == before
    # What was fitted counts, whatever becomes of the object.
    expected = model.predict(X)
    cell.peephole = False
    assert_array_equal(model.predict(X), expected)


@each_kind
def test_a_search_over_cells_and_their_options(kind):
    objects = ["lstm", "gru", LSTM(projection_size=2), Elman(activation="relu"), MinGRU(), MinLSTM(layer_norm=True)]
    grid = [{"cell": objects}, {"cell": [LSTM()], "cell__peephole": [False, True]}]
    search = GridSearchCV(kind(**SMALL), grid, cv=TimeSeriesSplit(2), error_score="raise").fit(X, TARGETS[kind])
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == len(objects) + 2
    assert np.isfinite(scores).all()
    # The default is an LSTM without peepholes.
    assert scores[0] == scores[len(objects)]
    if kind is DeepRNNRegressor:  # an accuracy of few rows may be the same
        assert len(set(scores)) == len(scores) - 1
    assert isinstance(grid[1]["cell"][0], LSTM)
    assert grid[1]["cell"][0].peephole is False


@each_cell
@each_kind
def test_models_survive_pickles_and_hold_plain_values(kind, cell):
    model = fitted(kind, cell=OBJECTS[cell])
    again = pickle.loads(pickle.dumps(model))
    assert parameters_equal(model, again)
    assert_array_equal(model.predict(X), again.predict(X))
    assert again.cell.get_params() == OBJECTS[cell].get_params()
    plain = (bool, int, float, str, type(None), tuple)
    assert all(type(value) in plain for value in model._architecture.values())
    assert bool(REFERENCE_CELLS[cell].h) == any(name.startswith("weight_hh") for name in model.parameters_)


@pytest.mark.parametrize("options", [{}, {"projection_size": 2}, {"layer_norm": True}], ids=str)
@each_cell
@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_features_are_those_of_the_equations(cell, options, zoneout):
    if "projection_size" in options and not CELLS[cell].projects:
        return  # refused, see below
    exact = {"dtype": "float64", "early_stopping": False, "input_scaling": None, "learning_rate_init": 0.01}
    model = fitted(DeepRNNRegressor, cell=clone(OBJECTS[cell]).set_params(**options), zoneout=zoneout, **exact)
    parameters = {name.removesuffix("_l0"): array for name, array in model.parameters_.items() if name.endswith("_l0")}
    windows = table_windows(X, 5)
    masks = [mean_masks(zoneout)] * len(windows)
    hidden = layer_forward(REFERENCE_CELLS[cell], windows, parameters, masks=masks).hidden
    assert_allclose(model.transform(X), [h[-1] for h in hidden], rtol=1e-10, atol=1e-12)


# What a cell cannot do

NORM = "spectral_norm"


@each_cell
@each_kind
@pytest.mark.parametrize(
    "option", [("recurrent_dropout", 0.2), ("weight_dropout", 0.2), ("recurrent_constraint", NORM)]
)
def test_options_of_recurrent_weights_need_them(kind, cell, option):
    option, value = option
    model = kind(**SMALL, cell=OBJECTS[cell], **{option: value})
    if REFERENCE_CELLS[cell].h:
        assert np.isfinite(model.fit(X, TARGETS[kind]).loss_curve_).all()
        return
    name = type(OBJECTS[cell]).__name__
    expected = rf"{option}={value!r} cannot be combined with cell={name}\(.*\): .*no matrix of recurrent weights"
    with pytest.raises(ValueError, match=expected):
        model.fit(X, TARGETS[kind])


@pytest.mark.parametrize("name", ["mingru", "minlstm", "indrnn"])
def test_a_refusal_says_the_name_that_was_given(name):
    with pytest.raises(ValueError, match=f"recurrent_dropout=0.2 cannot be combined with cell='{name}': "):
        fitted(DeepRNNRegressor, cell=name, recurrent_dropout=0.2)


@pytest.mark.parametrize("cell", [name for name in OBJECTS if not CELLS[name].projects])
@each_kind
def test_a_gate_on_h_needs_all_of_it(kind, cell):
    projected = clone(OBJECTS[cell]).set_params(projection_size=2)
    expected = (
        rf"cell__projection_size=2 cannot be combined with cell={type(projected).__name__}\(.*\): .* unit by unit"
    )
    with pytest.raises(ValueError, match=expected):
        fitted(kind, cell=projected)
