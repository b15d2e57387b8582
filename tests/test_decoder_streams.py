"""Streams with decoders answer as `predict` does, given the rows ahead at each step."""

import pickle

import numpy as np
import pytest
from decoder_case import (
    BEHIND,
    HORIZON,
    SMALL,
    N,
    X,
    Y,
    each_decoder,
    each_option,
    fitted,
    make,
)
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepRNNRegressor
from sklstm.streaming import stream

pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


@each_decoder
@each_option
def test_streams_answer_as_predict_does(decoder, options):
    method = "predict_quantiles" if "quantile" in options else "predict"
    model = fitted(decoder, **options)
    expected = getattr(model, method)(X[:N], future=BEHIND)
    one, several = (model.stream(n_streams=n, response_method=method) for n in (None, 2))
    for t in range(9):
        saved = one.state
        ahead = X[t + 1 : t + 1 + HORIZON]
        assert_array_equal(one.step(X[t], future=ahead), expected[t])
        assert_array_equal(several.step(X[[t, 3]], future=np.stack([ahead, X[4:9]]))[0], expected[t])
    one.state = saved
    assert_array_equal(pickle.loads(pickle.dumps(one)).step(X[8], future=X[9:14]), expected[8])
    later = model.stream(context=X[:50], response_method=method)
    out = np.empty(expected.shape[1:])
    assert later.step(X[50], out=out, future=X[51:]) is out
    assert_array_equal(out, expected[50])
    features = model.stream(response_method="transform")
    assert_array_equal(features.step(X[0]), model.transform(X[:1])[0])


@each_decoder
def test_streams_with_carried_states(decoder):
    model = fitted(decoder, window_norm=None)
    carried = model.stream(window=False, context=X[:20])
    answer = carried.step(X[20], future=X[21:26])
    sequences = make(decoder).fit(X[np.newaxis, :N], Y[:1], future=BEHIND[np.newaxis])
    sequences.parameters_ = model.parameters_
    for name in ("input_mean_", "input_scale_", "target_mean_", "target_scale_", "_coding"):
        setattr(sequences, name, getattr(model, name))
    expected = sequences.predict(X[np.newaxis, :21], future=X[np.newaxis, 21:26])[0]
    assert_array_equal(answer, expected)


def test_streams_that_miss_their_rows():
    model = fitted()
    steps = model.stream()
    with pytest.raises(ValueError, match=r"future is missing: .* the 5 rows after x\. Pass .* of shape \(5, 3\)"):
        steps.step(X[0])
    with pytest.raises(ValueError, match="future has 4 rows, but the decoder reads 5 rows after x"):
        steps.step(X[0], future=X[1:5])
    with pytest.raises(ValueError, match="future holds rows for 1 streams, expected"):
        model.stream(n_streams=2).step(X[:2], future=X[np.newaxis, 1:6])
    with pytest.raises(ValueError, match="future is read by decoders alone"):
        DeepRNNRegressor(**SMALL).fit(X, X[:, 0]).stream().step(X[0], future=X[1:6])


def test_pipelines():
    pipeline = make_pipeline(StandardScaler(), make())
    scaled = StandardScaler().fit(X[:N])
    pipeline.fit(X[:N], Y, deeprnnregressor__future=scaled.transform(BEHIND))
    steps = stream(pipeline)
    expected = pipeline[-1].predict(scaled.transform(X[:N]), future=scaled.transform(BEHIND))
    for t in range(4):
        assert_array_equal(steps.step(X[t], future=X[t + 1 : t + 6]), expected[t])
