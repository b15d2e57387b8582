"""The page of what works with the package has a line for each tool, and these tests use it."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "doc" / "guide" / "works_with.md"
# The tool as the page names it, and as code does where that differs.
TOOLS = {
    **dict.fromkeys(
        ("GridSearchCV", "HalvingGridSearchCV", "VotingRegressor", "VotingClassifier", "StackingRegressor"), ""
    ),
    **dict.fromkeys(("BaggingRegressor", "CalibratedClassifierCV", "TransformedTargetRegressor"), ""),
    **dict.fromkeys(("MultiOutputRegressor", "FrozenEstimator", "TunedThresholdClassifierCV"), ""),
    **dict.fromkeys(("permutation_importance", "partial_dependence", "polars", "pyarrow", "mlflow", "skops"), ""),
    "metadata routing": "enable_metadata_routing",
    "set_output": "",
    "pandas, nullable types": "Float64",
    "Optuna": "optuna",
    "MAPIE": "mapie",
    "SHAP": "shap",
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "dask as backend of joblib": 'backend="dask"',
    "ray as backend of joblib": "register_ray",
    "sktime": "",
    "aeon": "",
    "river": "convert_sklearn_to_river",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_a_line_and_a_test(tool):
    assert tool in PAGE.read_text(encoding="utf-8")
    tests = [*HERE.glob("test_*.py"), HERE.parent / "test_composition.py"]
    code = TOOLS[tool] or tool
    assert any(code in path.read_text(encoding="utf-8") for path in tests if path.name != "test_table.py")
