#!/usr/bin/env bash
# A multilabel MLPClassifier cannot be scored by "roc_auc" or "average_precision" when there are exactly two labels.
#
# Expected: the number of labels makes no difference. `roc_auc_score(Y, model.predict_proba(X))` takes the matrix of
#     probabilities for two labels as for three, so the scorer of the same name should give the same number.
# Happens: with three labels the scorer works; with two it raises "Expected 2D array, got 1D array instead". In
#     `cross_val_score` that is a NaN with a warning, and a search over such scores ranks NaNs. The scorer asks
#     `type_of_target(model.classes_)`: the columns [0, 1] look like the two classes of one label, so it keeps the second
#     column of `predict_proba` alone. ClassifierChain, whose `classes_` is a list of two arrays, is scored rightly.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.  Seen: 2026-11-28.
# Hurt: everybody with two yes/no labels a sample (price up and volume up, alarm and fault) who selects a model by ranking.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.multioutput import ClassifierChain
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 4))
found = {}
for n_labels in (2, 3):
    Y = (X[:, :n_labels] + 0.5 * rng.normal(size=(300, n_labels)) > 0).astype(int)
    for model in (MLPClassifier(max_iter=100, random_state=0), ClassifierChain(LogisticRegression())):
        model.fit(X, Y)
        name = f"{type(model).__name__}, {n_labels} labels"
        print(f"{name}: roc_auc_score of predict_proba {roc_auc_score(Y, model.predict_proba(X)):.3f}")
        for scoring in ("roc_auc", "average_precision"):
            try:
                answer = f"{get_scorer(scoring)(model, X, Y):.3f}"
            except ValueError as error:
                answer = f"ValueError: {str(error).splitlines()[0]}"
            print(f"    scorer {scoring!r}: {answer}")
            found[type(model).__name__, n_labels, scoring] = answer.startswith("ValueError: Expected 2D array")
    if n_labels == 2:
        scores = cross_val_score(MLPClassifier(max_iter=100, random_state=0), X, Y, scoring="roc_auc", cv=3)
        print(f"    cross_val_score of MLPClassifier: {scores}")
        found["cross_val_score"] = bool(np.isnan(scores).all())
expected = {key: key == "cross_val_score" or key[:2] == ("MLPClassifier", 2) for key in found}
sys.exit(found != expected)
PYTHON
