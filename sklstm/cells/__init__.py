"""Recurrent cells: small objects that name the cell of a network and hold the options of its kind.

`DeepRNNRegressor` and `DeepRNNClassifier` take one as their `cell`, or its name: that of its class in lower case,
"second_order" for `SecondOrder`, "linear_attention" for `LinearAttention`. It is a scikit-learn estimator without
`fit`: its parameters are reached through the network, as in ``model.set_params(cell__peephole=True)`` or in the grid of
a search.
"""

from sklstm.cells._attention import RWKV, LinearAttention, Retention
from sklstm.cells._base import Cell
from sklstm.cells._continuous import CfC
from sklstm.cells._elementwise import IndRNN, MinGRU, MinLSTM
from sklstm.cells._highway import RHN
from sklstm.cells._legendre import LMU
from sklstm.cells._linear import QRNN, RGLRU, SRU, ExpLSTM
from sklstm.cells._recurrent import GRU, LSTM, MGU, Delta, Elman
from sklstm.cells._second_product import MLSTM, SecondOrder
from sklstm.cells._state_spaces import LRU, S4D, S5, Mamba

__all__ = [
    "GRU",
    "LMU",
    "LRU",
    "LSTM",
    "MGU",
    "MLSTM",
    "QRNN",
    "RGLRU",
    "RHN",
    "RWKV",
    "S4D",
    "S5",
    "SRU",
    "Cell",
    "CfC",
    "Delta",
    "Elman",
    "ExpLSTM",
    "IndRNN",
    "LinearAttention",
    "Mamba",
    "MinGRU",
    "MinLSTM",
    "Retention",
    "SecondOrder",
]
