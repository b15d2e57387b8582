"""`sklstm train` and `sklstm info`: the fit of a configuration is that in Python."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from batch_case import COLUMNS, SIZES, as_bytes, model, run, table

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNRegressor, load_model, save_model
from sklstm._model_files.classes import KINDS
from sklstm.cells import GRU
from sklstm.cli.configuration import ESTIMATORS, MEMBERS, STEPS
from sklstm.model_selection import make_horizon

PARAMETERS = "[parameters]\nhidden_size = 6\nsequence_length = 9\nmax_iter = 2\nrandom_state = 0\n"
KNOWN = {"hidden_size": 6, "sequence_length": 9, "max_iter": 2, "random_state": 0}
DATA = '[data]\ntables = "table.parquet"\nfeatures = ["a", "b", "c"]\ntarget = "y"\ngroup = "series"\ntime = "time"\n'


def trained(files, text, capsys, *options):
    """Write a configuration, run it, and return its model and what was printed."""
    (files / "config.toml").write_text(text)
    assert run("train", files / "config.toml", *options) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return load_model(files / "new.safetensors"), json.loads(told.out)


def head(estimator="DeepLSTMRegressor"):
    return f'estimator = "{estimator}"\noutput = "new.safetensors"\n'


def assert_same_answers(found, expected):
    for method in ("predict", "predict_proba", "predict_quantiles"):
        assert hasattr(found, method) == hasattr(expected, method)
        if hasattr(found, method):
            X, groups = table()[COLUMNS], table()["series"].to_numpy()
            one, other = (np.asarray(getattr(each, method)(X, groups=groups)) for each in (found, expected))
            assert as_bytes(one) == as_bytes(other)


def fit(estimator, y=None, rows=slice(None), **more):
    frame = table()[rows]
    return estimator.fit(frame[COLUMNS], frame["y"] if y is None else y, groups=frame["series"].to_numpy(), **more)


def test_a_regressor(files, capsys):
    found, told = trained(files, head() + PARAMETERS + DATA, capsys)
    expected = fit(DeepLSTMRegressor(**KNOWN))
    assert_same_answers(found, expected)
    assert list(found.feature_names_in_) == COLUMNS
    assert (told["rows"], told["n_iter"], told["loss"]) == (len(table()), 2, expected.loss_)


def test_a_classifier_and_a_csv_file(files, capsys):
    text = head("DeepLSTMClassifier") + PARAMETERS + DATA.replace('"y"', '"label"').replace("parquet", "csv")
    found, _ = trained(files, text, capsys)
    assert_same_answers(found, fit(DeepLSTMClassifier(**KNOWN), table()["label"]))


def test_a_cell_with_options_quantiles_and_none(files, capsys):
    more = 'cell = { class = "GRU", reset_after = false }\nloss = "quantile"\nquantile = [0.2, 0.5, 0.8]\n'
    text = head("DeepRNNRegressor") + PARAMETERS + more + 'input_scaling = "None"\n' + DATA
    found, _ = trained(files, text, capsys)
    given = {"cell": GRU(reset_after=False), "loss": "quantile", "quantile": (0.2, 0.5, 0.8), "input_scaling": None}
    assert_same_answers(found, fit(DeepRNNRegressor(**KNOWN, **given)))


def test_a_validation_part(files, capsys):
    found, told = trained(files, head() + PARAMETERS + DATA + "[validation]\nfraction = 0.25\n", capsys)
    expected = fit(DeepLSTMRegressor(**KNOWN, early_stopping=True, validation_fraction=0.25))
    assert_same_answers(found, expected)
    assert told["best_validation_score"] == expected.best_validation_score_


def test_a_validation_table_and_weights(files, capsys):
    frame = table().assign(weight=np.arange(len(table())) % 2 + 1.0)
    is_last = (frame["series"] == "last").to_numpy()
    frame[~is_last].to_parquet(files / "table.parquet")
    frame[is_last].to_parquet(files / "later.parquet")
    text = head() + PARAMETERS + DATA + 'weight = "weight"\n[validation]\ntables = ["later.parquet"]\n'
    found, _ = trained(files, text, capsys)
    first, last = frame[~is_last], frame[is_last]
    expected = DeepLSTMRegressor(**KNOWN).fit(
        first[COLUMNS],
        first["y"],
        groups=first["series"].to_numpy(),
        sample_weight=first["weight"],
        X_val=last[COLUMNS],
        y_val=last["y"],
        groups_val=last["series"].to_numpy(),
        sample_weight_val=last["weight"],
    )
    assert_same_answers(found, expected)


def test_several_tables_are_one_below_the_other(files, capsys):
    table()[:217].to_parquet(files / "first.parquet")  # the group "many" goes on in the next
    table()[217:].to_parquet(files / "second.parquet")
    text = head() + PARAMETERS + DATA.replace('"table.parquet"', '["first.parquet", "second.parquet"]')
    found, _ = trained(files, text, capsys)
    assert_same_answers(found, fit(DeepLSTMRegressor(**KNOWN)))


def test_a_horizon(files, capsys):
    table()[table()["series"] != "one"].to_parquet(files / "table.parquet")
    found, _ = trained(files, head() + PARAMETERS + DATA + "horizon = 2\n", capsys)
    frame = table()[table()["series"] != "one"]
    rows, y = make_horizon(frame["y"].to_numpy(), 2, groups=frame["series"].to_numpy())
    expected = DeepLSTMRegressor(**KNOWN).fit(frame[COLUMNS][rows], y, groups=frame["series"].to_numpy()[rows])
    assert_same_answers(found, expected)


def test_steps_and_members(files, capsys):
    steps = '[[steps]]\nclass = "SimpleImputer"\nparameters = { strategy = "median" }\n'
    steps += '[[steps]]\nclass = "StandardScaler"\n'
    pipeline, _ = trained(files, head() + PARAMETERS + DATA + steps, capsys)
    assert [type(step).__name__ for _, step in pipeline.steps][:2] == ["SimpleImputer", "StandardScaler"]
    assert pipeline.predict(table()[COLUMNS], groups=table()["series"].to_numpy()).shape == (len(table()),)
    members = (
        '[[members]]\nname = "net"\nestimator = "DeepLSTMRegressor"\nparameters = { max_iter = 1, random_state = 0 }\n'
    )
    members += '[[members]]\nname = "line"\nestimator = "Ridge"\n'
    text = head("WeightedEnsembleRegressor") + "[parameters]\nweights = [0.5, 0.5]\n" + DATA + members
    ensemble, told = trained(files, text, capsys)
    assert told["weights"] == {"net": 0.5, "line": 0.5}
    assert list(ensemble.named_estimators_) == ["net", "line"]


def test_labels_of_a_csv_are_texts_for_networks_and_ensembles(files, capsys):
    names = ["01", "1", "NA", "null", "2"]
    frame = table().replace({"label": {"up": "01", "down": "1"}, "series": dict(zip(SIZES, names, strict=True))})
    frame.to_csv(files / "table.csv", index=False)
    data = DATA.replace("table.parquet", "table.csv").replace('"y"', '"label"')
    network, _ = trained(files, head("DeepLSTMClassifier") + PARAMETERS + data, capsys)
    expected = DeepLSTMClassifier(**KNOWN).fit(frame[COLUMNS], frame["label"], groups=frame["series"])
    assert network.classes_.tolist() == ["01", "1"]
    assert_same_answers(network, expected)
    line = '[[members]]\nname = "line"\nestimator = "LogisticRegression"\n'
    ensemble, _ = trained(files, head("WeightedEnsembleClassifier") + data + line, capsys)
    assert ensemble.classes_.tolist() == ["01", "1"]


def test_columns_are_all_others_and_quiet_tells_nothing(files, capsys):
    table()[["a", "y", "b", "label"]].to_parquet(files / "table.parquet")
    data = '[data]\ntables = "table.parquet"\ntarget = "label"\n'
    (files / "config.toml").write_text(head("DeepLSTMClassifier") + PARAMETERS + data)
    assert run("train", files / "config.toml", "--check", "--quiet") == 0
    assert run("train", files / "config.toml", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert list(load_model(files / "new.safetensors").feature_names_in_) == ["a", "y", "b"]


def test_a_model_file_holds_every_class_that_a_configuration_names():
    named = {(module, name) for name, module in {**ESTIMATORS, **MEMBERS, **STEPS}.items()}
    assert named <= {(kind.module, kind.name) for kind in KINDS.values()}


def test_tables_that_do_not_fit(files, capsys):
    """Labels of two types, labels that are missing, no row at all, and no pandas."""
    table().assign(label=1.5).to_parquet(files / "other.parquet")
    table().assign(label=table()["label"].where(table().index != 3)).to_parquet(files / "missing.parquet")
    table()[:0].to_parquet(files / "empty.parquet")
    for names, told in (
        ('["table.parquet", "other.parquet"]', "other.parquet: their columns do not fit together"),
        ('"missing.parquet"', "column 'label' holds no label in 1 rows"),
        ('["empty.parquet"]', "empty.parquet: has no rows"),
    ):
        data = f'[data]\ntables = {names}\ntarget = "label"\nfeatures = ["a", "b"]\n'
        (files / "config.toml").write_text(head("DeepLSTMClassifier") + PARAMETERS + data)
        assert run("train", files / "config.toml", "--check") == 3
        assert told in capsys.readouterr().err


def test_without_pandas(files, capsys, monkeypatch):
    (files / "config.toml").write_text(head() + PARAMETERS + DATA)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert run("train", files / "config.toml") == 2
    assert "pip install pandas" in capsys.readouterr().err


def test_check_fits_nothing(files, capsys):
    (files / "config.toml").write_text(head() + PARAMETERS + DATA)
    assert run("train", files / "config.toml", "--check") == 0
    assert "400 rows of 3 columns" in capsys.readouterr().err
    assert not (files / "new.safetensors").exists()


ENSEMBLE = head("WeightedEnsembleRegressor") + 'members = [{ name = "line", estimator = "Ridge" }]\n'
WRONG = [
    (2, head().replace("estimator", "estimater") + DATA, "unknown key 'estimater'; did you mean 'estimator'?"),
    (2, None, "config.toml: cannot be read: No such file"),
    (2, 'output = "x"\n' + DATA, "the key 'estimator' is missing"),
    (2, head("DeepLSTMRegresor") + DATA, "there is no 'DeepLSTMRegresor'; did you mean 'DeepLSTMRegressor'"),
    (2, head("os.system") + DATA, "there is no 'os.system'; known: "),
    (2, head() + PARAMETERS + "hiden_size = 3\n" + DATA, "no parameter 'hiden_size'; did you mean 'hidden_size'"),
    (2, head() + PARAMETERS + "dropout = 3.0\n" + DATA, "dropout"),
    (2, head() + 'parameters = { cell = { class = "GRUU" } }\n' + DATA, "there is no 'GRUU'; did you mean 'GRU'"),
    (2, head() + DATA + "tabels = 1\n", "[data]: unknown key 'tabels'; did you mean 'tables'?"),
    (2, head() + DATA.replace('"y"', "3"), "[data]: target must be a str or list, found 3"),
    (2, head() + DATA.replace('"y"', "[]"), "[data]: target must be a list of names"),
    (2, head() + DATA + "horizon = true\n", "[data]: horizon must be a int, found True"),
    (2, head() + DATA + "gap = 1\n", "data.gap goes with data.horizon"),
    (2, head() + DATA.replace('"c"]', '"y"]'), "[data]: the target 'y' is a feature too"),
    (2, head() + DATA.replace('"c"]', '"a"]'), "[data]: features names 'a' twice"),
    (2, head() + DATA.replace('"y"', '["y", "y"]'), "[data]: target names 'y' twice"),
    (2, head() + DATA + "[validation]\nfraction = 0.1\ntables = 'x.parquet'\n", "tables or a fraction, not both"),
    (2, head("WeightedEnsembleRegressor") + DATA, "needs [[members]]"),
    (2, ENSEMBLE + DATA + "[validation]\nfraction = 0.2\n", "goes with a network, not with an ensemble"),
    (2, ENSEMBLE + DATA + "[validation]\ntables = 'x.parquet'\n", "goes with a network without steps"),
    (2, head() + ENSEMBLE.partition("\n")[2].partition("\n")[2] + DATA, "members are those of an ensemble"),
    (2, head() + "steps = [1]\n" + DATA, "each entry of steps must be a table, found 1"),
    (2, head() + "parameters = { cell = { reset_after = true } }\n" + DATA, "cell needs its class"),
    (2, head() + DATA + "x = \n", "is no TOML"),
    (3, head() + DATA + "horizon = 1000\n", "table.parquet: "),
    (3, head() + DATA.replace('"y"', '"z"'), "column 'z' is not among"),
    (3, head() + DATA.replace("table.parquet", "none.parquet"), "none.parquet: cannot be read"),
    (3, head() + DATA.replace('"y"', '"label"'), "column 'label' holds "),
]


@pytest.mark.parametrize(("code", "text", "told"), WRONG, ids=range(len(WRONG)))
def test_configurations_that_are_wrong(code, text, told, files, capsys):
    if text is not None:
        (files / "config.toml").write_text(text)
    assert run("train", files / "config.toml") == code
    found = capsys.readouterr()
    assert told in found.err
    assert found.err.count("\n") == 1
    assert not (files / "new.safetensors").exists()


@pytest.mark.parametrize(
    ("code", "output", "told"),
    [
        (2, "table.parquet", "would replace what is read"),
        (2, "config.toml", "would replace what is read"),
        (2, "", "is a folder"),
        (5, "none/new.safetensors", "No such file or directory"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_the_fit(code, output, told, files, capsys):
    text = f'estimator = "DeepLSTMRegressor"\noutput = "{output}"\n{PARAMETERS}{DATA}'
    (files / "config.toml").write_text(text)
    before = (files / "table.parquet").read_bytes()
    assert run("train", files / "config.toml", "--check") == code
    assert told in capsys.readouterr().err
    assert (files / "table.parquet").read_bytes() == before
    assert (files / "config.toml").read_text() == text


def test_a_fit_that_fails_leaves_the_model_of_before(files, capsys):
    (files / "new.safetensors").write_bytes(b"before")
    frame = table().copy()
    frame.loc[9, "a"] = np.nan
    frame.to_parquet(files / "table.parquet")
    (files / "config.toml").write_text(head() + PARAMETERS + DATA)
    assert run("train", files / "config.toml") == 3
    assert "contains NaN" in capsys.readouterr().err
    assert (files / "new.safetensors").read_bytes() == b"before"


# info


@pytest.mark.parametrize("name", ["regressor", "classifier", "stateful", "pipeline", "ensemble", "seeds"])
def test_info_tells_what_a_model_is(name, files, capsys):
    save_model(model(name), files / "model")
    assert run("info", files / "model", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"] == type(model(name)).__name__
    assert found["features"] == COLUMNS
    assert found["rows_before"] == ("all (states are carried on)" if name == "stateful" else 8)
    assert found["bytes"] == (files / "model").stat().st_size
    if name == "regressor":
        n_weights = sum(array.size for array in model(name).parameters_.values())
        assert (found["weights_of_networks"], found["dtype"]) == (n_weights, "float32")
        assert found["parameters"] == {"hidden_size": 6, "sequence_length": 9, "max_iter": 1, "random_state": 0}
    assert run("info", files / "model") == 0
    assert f"class: {found['class']}\n" in capsys.readouterr().out


def test_info_of_a_pickle_needs_trust(files, capsys):
    import joblib

    joblib.dump(model("regressor"), files / "model.joblib")
    assert run("info", files / "model.joblib") == 4
    assert "--trust" in capsys.readouterr().err
    assert run("info", files / "model.joblib", "--trust") == 0
    assert "class: DeepLSTMRegressor" in capsys.readouterr().out


def test_the_package_is_a_command_and_whoever_reads_may_stop(files):
    command = [sys.executable, "-m", "sklstm", "info", str(files / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "class: DeepLSTMRegressor" in done.stdout
    for unbuffered in ("", "1"):  # written at the end of the program, or at once
        reader, writer = os.pipe()
        os.close(reader)
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment)
        os.close(writer)
        assert (done.returncode, done.stderr) == (1, "")
