"""A fitted estimator as a model of ONNX."""

from sklstm._exchange.onnx_answers import Answers
from sklstm._exchange.onnx_graph import Graph
from sklstm._exchange.onnx_layers import CELLS, Network, standardised
from sklstm._exchange.refusals import exported, refuse_cell, refuse_options

SIDE = "ONNX"


def onnx_model(model, sequence_lens, dtype):
    """Return the ModelProto of a fitted model.

    Parameters
    ----------
    model : object
    sequence_lens : bool
        Whether the lengths of the sequences are an input.
    dtype : "float32" or "float64"
        Of input and outputs.
    """
    model, shape = exported(model, "to_onnx")
    refuse_options(shape, "to_onnx", SIDE, knows=("peephole", "linear_skip"))
    refuse_cell(shape, CELLS, "to_onnx", SIDE)
    graph = Graph()
    kind = graph.types.FLOAT if dtype == "float32" else graph.types.DOUBLE
    x = graph.input("X", kind, ["batch", "steps", shape.input_size])
    lengths = graph.input("sequence_lens", graph.types.INT32, ["batch"]) if sequence_lens else None
    network = Network(graph, shape, standardised(graph, model, x), lengths)
    all_parameters = [model.parameters_, *(one["parameters_"] for one in getattr(model, "other_networks_", ()))]
    raw_outputs = [network.raw_outputs(arrays) for arrays in all_parameters]
    Answers(graph, model, shape.every_step, kind).write(raw_outputs)
    return graph.model()
