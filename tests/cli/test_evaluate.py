"""`sklstm evaluate`: the metrics of scikit-learn on the answers in memory."""

import json

import numpy as np
import pytest
from batch_case import COLUMNS, model, run, table
from sklearn import metrics

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, save_model

OPTIONS = ("--group", "series", "--time", "time", "--batch-rows", "70", "--quiet")


def evaluated(files, capsys, *options, name="regressor", target="y", source="table.parquet"):
    """Return what the command prints."""
    save_model(model(name), files / "model")
    assert run("evaluate", files / "model", files / source, "--target", target, *OPTIONS, *options) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return json.loads(told.out)


def answer(name, method="predict"):
    return getattr(model(name), method)(table()[COLUMNS], groups=table()["series"].to_numpy())


@pytest.mark.parametrize("source", ["table.parquet", "table.csv"])
def test_numbers(source, files, capsys):
    found = evaluated(files, capsys, source=source)
    y, predicted = table()["y"], answer("regressor")
    assert (found["rows"], found["rows_without_target"]) == (len(y), 0)
    assert found["metrics"] == {
        "mean_absolute_error": metrics.mean_absolute_error(y, predicted),
        "root_mean_squared_error": metrics.root_mean_squared_error(y, predicted),
        "r2_score": metrics.r2_score(y, predicted),
    }


def test_rows_without_a_target_are_read_and_not_counted(files, capsys):
    frame = table().copy()
    frame.loc[40:180:3, "y"] = np.nan
    frame.to_parquet(files / "table.parquet")
    found = evaluated(files, capsys, "--metrics", "mean_squared_error,mean_error,max_error")
    present = frame["y"].notna().to_numpy()
    y, predicted = frame["y"][present], answer("regressor")[present]
    assert found["rows_without_target"] == (~present).sum()
    assert found["metrics"]["mean_squared_error"] == metrics.mean_squared_error(y, predicted)
    assert found["metrics"]["max_error"] == metrics.max_error(y, predicted)
    assert found["metrics"]["mean_error"] == pytest.approx(np.mean(predicted - y), rel=1e-12)


def test_weights(files, capsys):
    frame = table().assign(weight=np.arange(len(table())) % 3)
    frame.to_parquet(files / "table.parquet")
    found = evaluated(files, capsys, "--weight", "weight")["metrics"]
    expected = metrics.mean_absolute_error(frame["y"], answer("regressor"), sample_weight=frame["weight"])
    assert found["mean_absolute_error"] == expected


def test_labels_and_probabilities(files, capsys):
    names = ["accuracy_score", "balanced_accuracy_score", "f1_macro", "matthews_corrcoef", "log_loss", "roc_auc_score"]
    found = evaluated(files, capsys, "--metrics", ",".join(names), name="classifier", target="label")["metrics"]
    y, predicted, probabilities = table()["label"], answer("classifier"), answer("classifier", "predict_proba")
    assert found["accuracy_score"] == metrics.accuracy_score(y, predicted)
    assert found["balanced_accuracy_score"] == metrics.balanced_accuracy_score(y, predicted)
    assert found["f1_macro"] == metrics.f1_score(y, predicted, average="macro")
    assert found["matthews_corrcoef"] == pytest.approx(metrics.matthews_corrcoef(y, predicted))
    assert found["log_loss"] == metrics.log_loss(y, probabilities)
    assert found["roc_auc_score"] == metrics.roc_auc_score(y, probabilities[:, 1])


def test_quantiles(files, capsys):
    found = evaluated(files, capsys, name="quantiles")["metrics"]
    y, quantiles = table()["y"].to_numpy(), answer("quantiles", "predict_quantiles")
    for k, level in enumerate((0.1, 0.5, 0.9)):
        expected = metrics.mean_pinball_loss(y, quantiles[:, k], alpha=level)
        assert found["mean_pinball_loss"][f"{level:g}"] == pytest.approx(expected, rel=1e-12)
        assert found["coverage"][f"{level:g}"] == pytest.approx(np.mean(y <= quantiles[:, k]))


def test_answers_that_no_metric_needs_are_not_computed(files, capsys, monkeypatch):
    def unused(*arguments, **more):
        raise AssertionError

    monkeypatch.setattr(DeepLSTMRegressor, "predict", unused)
    found = evaluated(files, capsys, "--metrics", "coverage", name="quantiles")["metrics"]
    assert list(found) == ["coverage"]
    monkeypatch.setattr(DeepLSTMClassifier, "predict", unused)
    found = evaluated(files, capsys, "--metrics", "log_loss", name="classifier", target="label")["metrics"]
    assert list(found) == ["log_loss"]


def test_a_horizon_of_several_targets_is_refused(files, capsys):
    frame = table()[["y", "a"]].to_numpy()
    horizon = DeepLSTMRegressor(2, sequence_length=3, max_iter=1).fit(
        table()[COLUMNS], np.stack([frame, frame], axis=1)
    )
    save_model(horizon, files / "model")
    assert run("evaluate", files / "model", files / "table.parquet", "--target", "y,a,y,a", *OPTIONS) == 4
    assert "a horizon of several targets; evaluate it in Python" in capsys.readouterr().err


def test_several_classes(files, capsys):
    y = np.digitize(table()["y"], [-0.3, 0.3])
    found, classifier, X = evaluated_labels(files, capsys, y, ["label"], "--metrics", "roc_auc_score,log_loss")
    expected = metrics.roc_auc_score(y, classifier.predict_proba(X), multi_class="ovr")
    assert found["roc_auc_score"] == pytest.approx(expected, rel=1e-12)


def test_several_outputs(files, capsys):
    found = evaluated(files, capsys, name="two outputs", target="y,a")["metrics"]
    expected = metrics.r2_score(table()[["y", "a"]].to_numpy(), answer("two outputs"))
    assert found["r2_score"] == pytest.approx(expected, rel=1e-9)


def test_a_file_instead_of_the_standard_output(files, capsys):
    save_model(model("regressor"), files / "model")
    command = ("evaluate", files / "model", files / "table.parquet", "--target", "y", *OPTIONS)
    assert run(*command, "--output", files / "scores.json") == 0
    assert capsys.readouterr().out == ""
    assert json.loads((files / "scores.json").read_text())["rows"] == len(table())


@pytest.mark.parametrize(
    ("code", "options", "told"),
    [
        (2, ("--target", "y", "--metrics", "mean_absolut_error"), "did you mean 'mean_absolute_error'"),
        (2, ("--target", "y", "--metrics", "accuracy_score"), "is none of"),
        (2, ("--target", "y,a"), "--target names 2 columns, but the model answers with 1"),
        (3, ("--target", "label"), "'label' must hold numbers, found a str"),
        (3, ("--target", "x"), "'x' is not among"),
        (3, ("--target", "y", "--weight", "a"), "'a' must hold finite weights of at least 0"),
        (3, ("--target", "y", "--weight", "label"), "column 'label' must hold numbers"),
        (3, ("--target", "y", "--weight", "zero", "--metrics", "mean_error"), "'zero' holds no weight above 0"),
        (3, ("--target", "nothing"), "no row has a target in nothing"),
        (3, ("--target", "huge", "--metrics", "mean_squared_error"), "huge holds infinity in a row that is compared"),
        (3, ("--target", "y,label"), "the columns y, label must hold numbers"),
    ],
)
def test_what_cannot_be_compared(code, options, told, files, capsys):
    table().assign(zero=0.0, nothing=np.nan, huge=np.inf).to_parquet(files / "table.parquet")
    assert run("evaluate", files / "model", files / "table.parquet", *OPTIONS, *options) == code
    found = capsys.readouterr()
    assert told in found.err
    assert found.err.count("\n") == 1
    assert found.out == ""


@pytest.mark.filterwarnings("ignore:R.2 score is not well-defined")
def test_a_metric_that_is_not_defined_is_null(files, capsys):
    """NaN is no JSON: R^2 of a single row has no value."""
    table().assign(single=table()["y"].where(np.arange(len(table())) == 9)).to_parquet(files / "table.parquet")
    assert run("evaluate", files / "model", files / "table.parquet", *OPTIONS, "--target", "single") == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["rows"], found["metrics"]["r2_score"]) == (1, None)


def test_labels_that_are_no_classes(files, capsys):
    save_model(model("classifier"), files / "model")
    table().replace({"label": {"up": "higher"}}).to_parquet(files / "table.parquet")
    assert run("evaluate", files / "model", files / "table.parquet", "--target", "label", *OPTIONS) == 3
    assert "labels higher are none of the model's classes" in capsys.readouterr().err


def evaluated_labels(folder, capsys, y, columns, *options):
    """Return what the command prints of a classifier of y, from a CSV file, and the classifier and its rows."""
    X = table()[COLUMNS][: len(y)]
    classifier = DeepLSTMClassifier(2, sequence_length=3, max_iter=1, early_stopping=False, random_state=0).fit(X, y)
    save_model(classifier, folder / "labels")
    X.assign(**dict(zip(columns, np.reshape(y, (len(y), -1)).T, strict=True))).to_csv(
        folder / "labels.csv", index=False
    )
    command = ("evaluate", folder / "labels", folder / "labels.csv", "--target", ",".join(columns), "--quiet")
    assert run(*command, *options) == 0
    return json.loads(capsys.readouterr().out)["metrics"], classifier, X


def test_labels_of_a_csv_that_look_like_numbers_are_texts(tmp_path, capsys):
    y = np.where(np.arange(60) % 3 == 0, "01", "1")
    found, classifier, X = evaluated_labels(tmp_path, capsys, y, ["label"])
    assert found["accuracy_score"] == classifier.score(X, y)


def test_a_matrix_of_labels(tmp_path, capsys):
    y = np.stack([np.arange(60) % 3 == 0, np.arange(60) % 2 == 0], axis=1).astype(int)
    found, classifier, X = evaluated_labels(tmp_path, capsys, y, ["one", "two"])
    assert found["accuracy_score"] == classifier.score(X, y)
    assert found["f1_macro"] == metrics.f1_score(y, classifier.predict(X), average="macro")
    assert found["roc_auc_score"] == metrics.roc_auc_score(y, classifier.predict_proba(X))
