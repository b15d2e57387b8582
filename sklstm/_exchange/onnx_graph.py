"""A graph of ONNX that is written node by node."""

import numpy as np

from sklstm._version import __version__

# Both are of ONNX 1.12 (2022), which all runtimes of today read; LSTM, GRU and RNN are those of opset 14.
OPSET, IR = 17, 8


def import_onnx():
    """Return the package, or raise an ImportError that says how it is installed."""
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install 'sklstm[onnx]'.") from error
    return onnx


class Graph:
    """Nodes and constants in the order in which they were added."""

    def __init__(self):
        self._onnx = import_onnx()
        self.types = self._onnx.TensorProto
        self._nodes, self._constants, self._inputs, self._outputs, self._count = [], {}, [], [], 0

    def input(self, name, dtype, shape):
        """Declare an input; the names of axes that may have any size are strings."""
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, value, name, dtype, shape):
        """Declare a value as an output of this name."""
        self.add("Identity", [value], name=name)
        self._outputs.append(self._onnx.helper.make_tensor_value_info(name, dtype, shape))

    def constant(self, values, dtype=None):
        """Return the name of a constant; the same values have the same name."""
        array = np.array(values, dtype, order="C", ndmin=0)
        key = (array.dtype.str, array.shape, array.tobytes() if array.dtype != object else repr(array.tolist()))
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._onnx.numpy_helper.from_array(array, name)
        return self._constants[key].name

    def add(self, kind, inputs, *, name=None, unused=(), **attributes):
        """Add a node and return the name of its first output; further ones that it has to have are `unused`."""
        self._count += 1
        name = name or f"{kind.lower()}_{self._count}"
        outputs = [name, *(f"{name}_{one}" for one in unused)]
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, **attributes))
        return name

    def cast(self, value, dtype):
        """Return a value in another type."""
        return self.add("Cast", [value], to=dtype)

    def model(self):
        """Return the checked ModelProto."""
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, "sklstm", self._inputs, self._outputs, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR,
            producer_name="sklstm",
            producer_version=__version__,
        )
        self._onnx.checker.check_model(model, full_check=True)
        return model
