"""Files of the command line's tests."""

import pytest
from batch_case import model, table

pytest.importorskip("pyarrow")


@pytest.fixture
def files(tmp_path):
    """A folder with a model, and the table in both formats; row groups and batches have no common border."""
    from sklstm import save_model

    table().to_parquet(tmp_path / "table.parquet", row_group_size=70)
    table().to_csv(tmp_path / "table.csv", index=False)
    save_model(model("regressor"), tmp_path / "model")
    return tmp_path
