"""Recurrent cells: small objects that name the cell of a network and hold the options of its kind.

`DeepRNNRegressor` and `DeepRNNClassifier` take one as their `cell`, or the name of its class in lower case. It is a
scikit-learn estimator without `fit`: its parameters are reached through the network, as in
``model.set_params(cell__peephole=True)`` or in the grid of a search.
"""

from sklstm.cells._base import Cell
from sklstm.cells._elementwise import IndRNN, MinGRU, MinLSTM
from sklstm.cells._recurrent import GRU, LSTM, MGU, Delta, Elman

__all__ = ["GRU", "LSTM", "MGU", "Cell", "Delta", "Elman", "IndRNN", "MinGRU", "MinLSTM"]
