"""Make the model files of this release, in tests/data/models/VERSION/, with what they answer.

Later versions must read them for ever (tests/model_files/test_releases.py). Run it with the package installed, once
for a release::

    PYTHONPATH=tests python tests/data/make_model_files.py

A folder that is there is never written again.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from model_case import MODELS, answers

from sklstm import __version__, save_model

FOLDER = Path(__file__).with_name("models") / __version__
NAMES = (
    *("lstm", "layers", "directions", "window norm", "fine skip", "outputs", "quantiles", "conformal", "decoder"),
    *("seeds in parts", "schedule free", "frame in parts", "carried", "random state", "int8", "int16", "pruned"),
    *("objects", "many labels", "labels in parts", "carried groups", "units of a column", "mixed labels", "steps"),
    *("named selector", "learned weights", "ensemble of labels", "pipeline"),
)


def main():
    """Write the files, and the numbers that the models answer."""
    if FOLDER.exists():
        sys.exit(f"{FOLDER} is there: the files of a release stay as they are.")
    FOLDER.mkdir(parents=True)
    warnings.simplefilter("ignore")
    numbers = {}
    for name in NAMES:
        model = MODELS[name]()
        save_model(model, FOLDER / f"{name.replace(' ', '_')}.safetensors")
        for method, answer in answers(name, model).items():
            answer = np.asarray(answer)
            numbers[f"{name}/{method}"] = answer.astype("U") if answer.dtype.kind == "O" else answer
    np.savez_compressed(FOLDER / "answers.npz", **numbers)


if __name__ == "__main__":
    main()
