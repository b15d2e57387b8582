"""From raw outputs to what an estimator answers, as nodes of ONNX."""

import numpy as np

from sklstm._exchange.folding import units_of


class Answers:
    """Writes the answers of an estimator into a graph.

    Parameters
    ----------
    graph : Graph
    model : estimator
        Fitted.
    every_step : bool
    dtype : int
        Type of the outputs.
    """

    def __init__(self, graph, model, every_step, dtype):
        self._graph, self._model, self._dtype = graph, model, dtype
        self._axes = ["batch", "steps"] if every_step else ["batch"]

    def write(self, raw_outputs):
        """Write the outputs of the graph from the names of the raw outputs of each network."""
        raw_outputs = [self._graph.cast(z, self._graph.types.DOUBLE) for z in raw_outputs]
        if hasattr(self._model, "classes_"):
            self._write_classes(raw_outputs)
        else:
            self._write_numbers(raw_outputs)

    def _mean(self, values):
        """Return the mean over networks."""
        total = values[0]
        for one in values[1:]:
            total = self._graph.add("Add", [total, one])
        return total if len(values) == 1 else self._graph.add("Div", [total, self._constant(float(len(values)))])

    def _constant(self, values, dtype=np.float64):
        return self._graph.constant(values, dtype)

    def _output(self, value, name, shape):
        self._graph.output(self._graph.cast(value, self._dtype), name, self._dtype, [*self._axes, *shape])

    # Numbers

    def _write_numbers(self, raw_outputs):
        graph, coding, (mean, scale) = self._graph, self._model._coding, units_of(self._model)
        quantiles, shape, n_targets = coding["quantiles"], coding["shape"], len(mean)
        if quantiles is None:
            if coding["loss"] == "poisson":
                raw_outputs = [graph.add("Exp", [z]) for z in raw_outputs]
            answer = self._in_unit(self._mean(raw_outputs), mean, scale)
            self._output(self._shaped(answer, shape), "prediction", shape)
            return
        n = len(quantiles)
        answers = self._mean([self._sorted(z, n_targets, n) for z in raw_outputs])
        place = int(np.argmin(np.abs(np.subtract(quantiles, 0.5)))) if n > 1 else 0
        median = graph.add("Gather", [answers, self._constant(place, np.int64)], axis=-1)
        self._output(self._shaped(self._in_unit(median, mean, scale), shape), "prediction", shape)
        answers = self._corrected(answers, n_targets, n)
        answers = self._in_unit(answers, mean[:, np.newaxis], scale[:, np.newaxis])
        self._output(self._shaped(answers, (*shape, n)), "quantiles", (*shape, n))

    def _in_unit(self, values, mean, scale):
        product = self._graph.add("Mul", [values, self._constant(scale)])
        return self._graph.add("Add", [product, self._constant(mean)])

    def _shaped(self, values, shape):
        """Return values with the axes of `predict` behind those of the samples."""
        target = [0] * len(self._axes) + list(shape)
        return self._graph.add("Reshape", [values, self._constant(target, np.int64)])

    def _sorted(self, z, n_targets, n):
        """Return the quantiles of each target in increasing order."""
        z, graph = self._shaped(z, (n_targets, n)), self._graph
        if n == 1:
            return z
        return graph.add("TopK", [z, self._constant([n], np.int64)], unused=["places"], axis=-1, largest=0, sorted=1)

    def _corrected(self, answers, n_targets, n):
        """Return quantiles after the correction of their bands: an inner band never leaves an outer one."""
        correction = getattr(self._model, "conformal_correction_", None)
        if correction is None:
            return answers
        graph = self._graph
        answers = graph.add("Add", [answers, self._constant(np.reshape(correction, (n_targets, n)))])
        middle, columns = n // 2, {}
        for k in [middle, *range(middle + 1, n), *range(middle - 1, -1, -1)]:
            own = graph.add("Gather", [answers, self._constant([k], np.int64)], axis=-1)
            inner = columns.get(k - 1 if k > middle else k + 1)
            columns[k] = own if inner is None else graph.add("Max" if k > middle else "Min", [own, inner])
        return graph.add("Concat", [columns[k] for k in range(n)], axis=-1)

    # Classes

    def _write_classes(self, raw_outputs):
        graph, classes = self._graph, self._model.classes_
        is_multilabel, is_one_of_two = classes.ndim == 2, classes.ndim == 1 and len(classes) == 2
        if is_multilabel or is_one_of_two:
            probabilities = self._mean([graph.add("Sigmoid", [z]) for z in raw_outputs])
        else:
            probabilities = self._mean([graph.add("Softmax", [z], axis=-1) for z in raw_outputs])
        # Of one network the raw outputs decide, as in the estimator: probabilities may be rounded to be equal.
        decides, limit = (raw_outputs[0], 0.0) if len(raw_outputs) == 1 else (probabilities, 0.5)
        n = len(classes)
        if is_multilabel:
            is_on = graph.add("Greater", [decides, self._constant(limit)])
            labels = graph.cast(is_on, graph.types.INT64)
            graph.output(labels, "label", graph.types.INT64, [*self._axes, n])
        elif is_one_of_two:
            is_on = graph.cast(graph.add("Greater", [decides, self._constant(limit)]), graph.types.INT64)
            self._write_labels(graph.add("Squeeze", [is_on, self._constant([-1], np.int64)]))
            other = self._mean([graph.add("Sigmoid", [graph.add("Neg", [z])]) for z in raw_outputs])
            probabilities = graph.add("Concat", [other, probabilities], axis=-1)
        else:
            self._write_labels(graph.add("ArgMax", [decides], axis=-1, keepdims=0))
        self._output(probabilities, "probabilities", (n,))

    def _write_labels(self, codes):
        graph, classes, types = self._graph, self._model.classes_, self._graph.types
        if classes.dtype.kind in "biu":
            values, dtype = classes.astype(np.int64), types.INT64
        elif classes.dtype.kind == "f":
            values, dtype = classes.astype(np.float64), types.DOUBLE
        elif all(isinstance(one, str) for one in classes.tolist()):
            values, dtype = classes.astype(object), types.STRING
        else:
            raise ValueError(f"to_onnx: classes_={classes.tolist()} are neither numbers nor strings.")
        labels = graph.add("Gather", [graph.constant(values), codes], axis=0)
        graph.output(labels, "label", dtype, self._axes)
