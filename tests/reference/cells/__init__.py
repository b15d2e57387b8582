"""One step of every recurrent cell, written from its equations; `REFERENCE_CELLS` holds them by name.

A cell is a class with these attributes and one function. H units; P is the size of h, H without a projection::

    x       names of the blocks of ``weight_ih`` (H rows each), in their order
    h       names of the blocks of ``weight_hh``; empty: the cell has no ``weight_hh``
    sums    names of the blocks of ``bias``, one for each sum
    own     "c": the cell carries a state c of its own; "h": its update reads the previous h unit by unit (with a
            projection, what the unit gave before the projection, which is then carried as a second state m);
            "states": it carries `n_states` numbers a unit, one vector after the other (``states.py``); None: h is read
            by products only
    vectors per-unit weights that the cell always has, {name: number of rows}; left out: none

    step(x, product, b, own, parameters) -> output (H,), new own state (H,)

`x` and `b` are dicts of blocks: products with the input (normalised, if the layer does so), biases. ``product()`` gives
the dict of products with the previous h; ``product(blocks, factor)`` only those of some blocks, with ``factor * h``,
``product(blocks, of=v)`` with another vector (where sums are normalised, those of one call are normalised together).
`own` is the previous own state. `parameters` holds the others of the layer, such as peepholes.

What is not one cell's (projection, zoneout, recurrent dropout, normalised sums) stands in ``reference/layer.py``.
"""

from reference.cells.cfc import CfC, CfCBackbone
from reference.cells.delta import Delta
from reference.cells.elman import Elman, ElmanReLU, ElmanSiLU, ElmanSoftsign
from reference.cells.explstm import ExpLSTM
from reference.cells.gru import GRU, GRUResetBefore
from reference.cells.indrnn import IndRNN, IndRNNSiLU, IndRNNSoftsign, IndRNNTanh
from reference.cells.linear_attention import LinearAttention
from reference.cells.lmu import LMU
from reference.cells.lru import LRU
from reference.cells.lstm import LSTM
from reference.cells.mamba import Mamba
from reference.cells.mgu import MGU
from reference.cells.mingru import MinGRU, MinGRUReLU, MinGRUSiLU, MinGRUSoftsign, MinGRUTanh
from reference.cells.minlstm import MinLSTM, MinLSTMReLU, MinLSTMSiLU, MinLSTMSoftsign, MinLSTMTanh
from reference.cells.mlstm import MultiplicativeLSTM
from reference.cells.qrnn import QRNNf, QRNNf3, QRNNfo, QRNNfo3, QRNNifo, QRNNifo3
from reference.cells.retention import Retention
from reference.cells.rglru import RGLRU, RGLRUConvolution
from reference.cells.rhn import RHN2, RHN3, RHN4
from reference.cells.rwkv import RWKV
from reference.cells.s4d import S4D
from reference.cells.s5 import S5
from reference.cells.second_order import SecondOrder
from reference.cells.sru import SRU

REFERENCE_CELLS = {
    "lstm": LSTM,
    "gru": GRU,
    "gru_reset_before": GRUResetBefore,
    "elman": Elman,
    "elman_relu": ElmanReLU,
    "mgu": MGU,
    "delta": Delta,
    "mingru": MinGRU,
    "mingru_tanh": MinGRUTanh,
    "mingru_relu": MinGRUReLU,
    "mingru_softsign": MinGRUSoftsign,
    "mingru_silu": MinGRUSiLU,
    "minlstm": MinLSTM,
    "minlstm_tanh": MinLSTMTanh,
    "minlstm_relu": MinLSTMReLU,
    "minlstm_softsign": MinLSTMSoftsign,
    "minlstm_silu": MinLSTMSiLU,
    "indrnn": IndRNN,
    "indrnn_tanh": IndRNNTanh,
    "sru": SRU,
    "rglru": RGLRU,
    "rglru_convolution": RGLRUConvolution,
    "qrnn_f": QRNNf,
    "qrnn_fo": QRNNfo,
    "qrnn_ifo": QRNNifo,
    "qrnn_f_3": QRNNf3,
    "qrnn_fo_3": QRNNfo3,
    "qrnn_ifo_3": QRNNifo3,
    "explstm": ExpLSTM,
    "elman_softsign": ElmanSoftsign,
    "elman_silu": ElmanSiLU,
    "indrnn_softsign": IndRNNSoftsign,
    "indrnn_silu": IndRNNSiLU,
    "second_order": SecondOrder,
    "cfc": CfC,
    "cfc_backbone": CfCBackbone,
    "mlstm": MultiplicativeLSTM,
    "rhn_2": RHN2,
    "rhn_3": RHN3,
    "rhn_4": RHN4,
    "s4d": S4D,
    "lru": LRU,
    "s5": S5,
    "mamba": Mamba,
    "rwkv": RWKV,
    "retention": Retention,
    "linear_attention": LinearAttention,
    "lmu": LMU,
}


def reference_cell(name, numbers=()):
    """The cell of a name, with these sizes of its own."""
    cell = REFERENCE_CELLS[name]
    return cell.sized(*numbers) if numbers else cell
