"""The parameter `dtype`: which arrays it stands for, and what a fitted model computes in."""

from sklstm._kernels import REDUCED_ISA, has_fast_bfloat16
from sklstm._warn import warn_user
from sklstm.exceptions import PerformanceWarning

DTYPES = ("float32", "float64", "bfloat16")


def array_dtype(dtype):
    """Return the dtype of parameters, targets and outputs; "bfloat16" names the products alone."""
    return "float32" if dtype == "bfloat16" else dtype


def fitted_dtype(model, arrays):
    """Return the dtype of the network that was fitted, whatever the parameter `dtype` was set to afterwards.

    Parameters
    ----------
    model : estimator
        Fitted.
    arrays : numpy.dtype
        Of its parameters.
    """
    trained = getattr(model, "_trained_dtype", arrays.name)  # which older pickles lack
    if trained not in DTYPES:
        raise ValueError(f"the network was trained in dtype={trained!r}, expected one of {DTYPES}")
    return trained if array_dtype(trained) == arrays.name else arrays.name


def warn_of_slow_products(dtype):
    """Warn if products in this dtype are slower here than those of float32."""
    if dtype == "bfloat16" and not has_fast_bfloat16():
        warn_user(
            f"dtype='bfloat16' is slower than 'float32' here: this CPU, or SKLSTM_MAX_ISA, has no AVX512_BF16 (kernels "
            f"in use: {REDUCED_ISA!r}). The numbers are the same as where it is fast.",
            PerformanceWarning,
        )
