#!/usr/bin/env bash
# MAPIE's intervals for time series are several times too wide for models that look back at the rows before.
#
# Expected: TimeSeriesRegressor with EnbPI and BlockBootstrap, made for time series, gives a model whose prediction of a row
#     uses the rows before it (lags made inside of a pipeline, a recurrent network) intervals as wide as its errors are.
# Happens: each model of the bootstrap predicts the rows that it has not drawn as one table, so that the rows before a row are
#     others than they were. The residuals are those of torn windows: five times as wide as those of a
#     model fitted before with blocks of 10 rows, 1.7 times with blocks of 50. CrossConformalRegressor(cv=5) is 18 times too wide,
#     as a number stands for *shuffled* folds there, other than in scikit-learn; KFold(5) is right. No warning.
# Versions: MAPIE 1.6.0, scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.  Seen: 2026-11-29.
# Hurt: forecasters who put a model with lags inside into MAPIE and find its intervals useless.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install MAPIE==1.6.0 scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from mapie.regression import CrossConformalRegressor, SplitConformalRegressor, TimeSeriesRegressor
from mapie.subsample import BlockBootstrap
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def with_lags(X):
    """Return the columns beside those of one and two rows before, zeros where there are none."""
    before = [np.vstack([np.zeros((lag, X.shape[1])), X[:-lag]]) for lag in (1, 2)]
    return np.hstack([X, *before])


rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 3))
y = 0.05 * rng.normal(size=1500)
y[2:] += 0.6 * X[1:-1, 0] + 0.4 * X[:-2, 0]
model = make_pipeline(FunctionTransformer(with_lags), Ridge(1e-3))
widths = {}


def measure(name, bounds):
    low, high = bounds[:, 0, 0], bounds[:, 1, 0]
    widths[name] = np.mean(high - low)
    print(f"{name}: width {widths[name]:.3f}, covered {np.mean((low <= y[1200:]) & (y[1200:] <= high)):.2f}")


prefit = SplitConformalRegressor(model.fit(X[:900], y[:900]), confidence_level=0.9, prefit=True)
measure("fitted before", prefit.conformalize(X[900:1200], y[900:1200]).predict_interval(X[1200:])[1])
for length in (10, 50):
    bootstrap = BlockBootstrap(n_resamplings=20, length=length, overlapping=True, random_state=0)
    enbpi = TimeSeriesRegressor(model, method="enbpi", cv=bootstrap, agg_function="mean").fit(X[:1200], y[:1200])
    measure(f"EnbPI, blocks of {length}", enbpi.predict(X[1200:], confidence_level=0.9, ensemble=True)[1])
for name, cv in (("KFold(5)", KFold(5)), ("5", 5)):
    cross = CrossConformalRegressor(model, confidence_level=0.9, cv=cv, method="base")
    measure(f"cv={name}", cross.fit_conformalize(X[:1200], y[:1200]).predict_interval(X[1200:])[1])
right = widths["fitted before"]
still_so = widths["EnbPI, blocks of 10"] > 2 * right and widths["cv=5"] > 6 * right and widths["cv=KFold(5)"] < 1.5 * right
sys.exit(not still_so)
PYTHON
