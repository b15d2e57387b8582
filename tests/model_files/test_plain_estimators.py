"""Every class of scikit-learn that a model file names, with options and targets that change what its attributes are."""

import numpy as np
import pytest
from model_case import ARRAY, assert_same
from model_mutations import parts_of, signed
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from sklstm import ModelFormatError, load_model, save_model
from sklstm._model_files.plain_states import CLASSES
from sklstm.preprocessing import CollectionTransformer

RNG = np.random.default_rng(2)
WIDE = RNG.normal(size=(120, 17))
TARGETS = {"one": WIDE[:, 0] + WIDE[:, 1], "five": WIDE[:, :5] ** 2 + WIDE[:, 5:10]}
LABELS = {"one": np.where(WIDE[:, 0] > 0, "up", "down"), "five": np.digitize(WIDE[:, 0], [-1, -0.3, 0.3, 1])}
HOLES = np.where(RNG.random(WIDE.shape) < 0.1, np.nan, WIDE)
REGRESSORS = [
    *(
        LinearRegression(),
        LinearRegression(fit_intercept=False),
        Ridge(),
        Ridge(solver="lsqr"),
        Ridge(alpha=np.ones(5)),
    ),
    *(Lasso(0.01), Lasso(0.01, fit_intercept=False), ElasticNet(0.01), LogisticRegression(C=0.5)),
]
TRANSFORMERS = [
    *(StandardScaler(), StandardScaler(with_mean=False, with_std=False), MinMaxScaler((-1, 1), clip=True)),
    *(MaxAbsScaler(), RobustScaler(), RobustScaler(with_centering=False, with_scaling=False)),
    *(SimpleImputer(), SimpleImputer(strategy="median", keep_empty_features=True), PCA(), PCA(2, whiten=True)),
    *(PCA(0.8), PCA(3, svd_solver="randomized", random_state=0), PCA(3, svd_solver="covariance_eigh")),
]


def saved(model, folder):
    """Return a model after a round through a file."""
    save_model(model, folder / "model.safetensors")
    return load_model(folder / "model.safetensors")


def test_every_class_of_the_table_is_here():
    named = {name for names in CLASSES.values() for name in names} - {"Pipeline"}
    assert {type(one).__name__ for one in REGRESSORS + TRANSFORMERS} == named


@pytest.mark.parametrize("targets", ["one", "five"])
@pytest.mark.parametrize("model", REGRESSORS, ids=repr)
def test_regressors_answer_with_the_same_bits(model, targets, tmp_path):
    if targets == "one" and np.size(getattr(model, "alpha", 1.0)) > 1:
        pytest.skip("a penalty for each target needs several targets")
    y = (LABELS if isinstance(model, LogisticRegression) else TARGETS)[targets]
    fitted = make_pipeline(model).fit(WIDE, y)
    again = saved(fitted, tmp_path)
    assert_same(again[0], fitted[0])
    for rows in (WIDE, WIDE[:1], WIDE[:33]):
        assert_same(again.predict(rows), fitted.predict(rows))


@pytest.mark.parametrize("model", TRANSFORMERS, ids=repr)
def test_transformers_answer_with_the_same_bits(model, tmp_path):
    table = HOLES if isinstance(model, SimpleImputer) else WIDE
    fitted = make_pipeline(model).fit(table)
    again = saved(fitted, tmp_path)
    assert_same(again[0], fitted[0])
    matrix = getattr(fitted[0], "components_", np.zeros(1))
    for rows in (table, table[:33], table[:1]):
        if matrix.flags.forc:  # BLAS rounds with matrices by columns otherwise than by rows
            assert_same(again.transform(rows), fitted.transform(rows))
        else:  # and otherwise with a part of another matrix, the first components of many: neither files nor pickles
            # keep that
            np.testing.assert_allclose(again.transform(rows), fitted.transform(rows), rtol=1e-12, atol=1e-14)


def edited(path, *texts):
    """Replace texts in the description of the model, with a right checksum."""
    header, data = parts_of(path.read_bytes())
    for old, new in zip(texts[::2], texts[1::2], strict=True):
        assert old in header["__metadata__"]["model"]
        header["__metadata__"]["model"] = header["__metadata__"]["model"].replace(old, new)
    path.write_bytes(signed(header, data))


def test_an_order_that_is_none(tmp_path):
    path = tmp_path / "model"
    model = make_pipeline(LogisticRegression()).fit(WIDE, LABELS["five"])
    model[0].coef_ = np.asfortranarray(model[0].coef_)
    save_model(model, path)
    edited(path, '"order":"F"', '"order":"A"')
    with pytest.raises(ModelFormatError, match="coef_ has the unknown order 'A'"):
        load_model(path)


# Transformers of sets of sequences


def test_a_transformer_of_another_width(tmp_path):
    path = tmp_path / "model"
    save_model(CollectionTransformer(StandardScaler()).fit(ARRAY), path)
    outer = '"object":"sklstm.CollectionTransformer","parameters":{"transformer":{"object":'
    assert outer in parts_of(path.read_bytes())[0]["__metadata__"]["model"]
    edited(path, '"state":{"n_features_in_":3,"transformer_"', '"state":{"n_features_in_":4,"transformer_"')
    with pytest.raises(ModelFormatError, match=r"transformer_.* is Standard.*, expected a fitted transformer of 4"):
        load_model(path)


@pytest.mark.parametrize("inside", [FunctionTransformer(), make_pipeline(StandardScaler(), FunctionTransformer())])
def test_a_transformer_that_the_table_does_not_have_is_named(inside, tmp_path):
    model = CollectionTransformer(inside).fit(ARRAY)
    message = "cannot be saved with (transformer|steps)=.*FunctionTransformer.* Use joblib"
    with pytest.raises(TypeError, match=message):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_member_of_a_pipeline_of_tables_keeps_its_names(tmp_path):
    pd = pytest.importorskip("pandas")
    frames = [pd.DataFrame(one, columns=["a", "b", "c"]) for one in ARRAY]
    model = CollectionTransformer(StandardScaler()).set_output(transform="pandas").fit(frames)
    again = saved(model, tmp_path)
    assert again.feature_names_in_.tolist() == ["a", "b", "c"]
    assert_same(again.transform(frames), model.transform(frames))
    with pytest.raises(ValueError, match="feature names should match"):
        again.transform([frame.set_axis(["a", "c", "b"], axis=1) for frame in frames])
