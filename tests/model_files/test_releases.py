"""The model files of every release are read, and answer what they answered (tests/data/make_model_files.py)."""

from pathlib import Path

import numpy as np
import pytest
import sklearn
from model_case import ARRAY, X, answers

from sklstm import load_model
from sklstm.exceptions import ModelFormatError

FOLDER = Path(__file__).parents[1] / "data" / "models"
FILES = sorted(FOLDER.glob("*/*.safetensors"))


def test_there_is_a_release():
    assert {path.parent.name for path in FILES} >= {"0.1.0"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_file_of_a_release_answers_as_it_did(path):
    """To rounding: other instruction sets have other last bits."""
    name = path.stem.replace("_", " ")
    try:
        model = load_model(path)
    except ModelFormatError as error:
        # Members of scikit-learn that an older one does not know.
        if sklearn.__version__ < "1.9" and "sklearn" in path.read_bytes()[:100_000].decode("latin1"):
            pytest.skip(str(error))
        raise
    found = answers(name, model)
    with np.load(path.with_name("answers.npz")) as stored:
        expected = {key.split("/")[1]: stored[key] for key in stored.files if key.split("/")[0] == name}
    assert found.keys() == expected.keys()
    for method, numbers in expected.items():
        answer = np.asarray(found[method])
        if numbers.dtype.kind == "f":
            np.testing.assert_allclose(answer, numbers, rtol=2e-5, atol=2e-5)
        elif numbers.dtype.kind == "U":
            assert (answer.astype("U") == numbers).mean() > 0.98  # labels at the border may differ
        else:
            assert (answer == numbers).mean() > 0.98


def test_the_data_of_the_tests_are_those_of_the_releases():
    """The files know nothing of the data that they were asked with: another generator would give other answers."""
    assert X[0].round(6).tolist() == FIRST_ROW
    assert ARRAY[0, 0].round(6).tolist() == FIRST_STEP


FIRST_ROW = [-0.801931, -1.324359, -0.248362]
FIRST_STEP = [0.01776, 0.70867, -1.332305]
