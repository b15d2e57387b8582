"""One thread for BLAS and OpenMP: on a busy machine two of them wait actively for each other, for minutes."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def one_thread():
    """Limit the libraries of the members, in this folder."""
    with threadpool_limits(1):
        yield
