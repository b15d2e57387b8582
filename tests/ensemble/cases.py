"""A small table, its targets, and ensembles on it, for all tests here."""

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor

X, NOISE = np.split(np.random.default_rng(0).normal(size=(60, 4)), [3], axis=1)
Y = X @ [1.0, -2.0, 0.5] + NOISE[:, 0]
LABELS = np.array(["low", "mid", "top"])[np.digitize(Y, [-0.5, 1.0])]

REGRESSORS = [
    ("linear", LinearRegression()),
    ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)),
]
CLASSIFIERS = [
    ("bayes", GaussianNB()),
    ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
]


def regressor(members=REGRESSORS, **params):
    return WeightedEnsembleRegressor(members, **params)


def classifier(members=CLASSIFIERS, **params):
    return WeightedEnsembleClassifier(members, **params)


def fitted_names(model):
    return [name for name in vars(model) if name.endswith("_")]
