"""A fitted model as a function of the windows that it reads, in float64, with the gradient of that function."""

import numpy as np

from sklstm._inspection.answers import answers_of
from sklstm._inspection.windows import WindowModel, WindowReader
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._network.input_gradients import InputGradients
from sklstm._network.parameters import ParameterLayout

# Numbers in an array that is returned, 4 GB: more are refused.
LARGEST_RESULT = 1 << 29


class ExplainedModel(WindowModel):
    """A fitted model whose answers are differentiated.

    Parameters
    ----------
    model : estimator
    caller : str
        Name of the function that was called.
    method : str
        See `answers_of`.

    Attributes
    ----------
    answers : NumberAnswers or LabelAnswers
    n_features : int
    """

    def __init__(self, model, caller, method="auto"):
        super().__init__(model, caller)
        model, layout = self._model, ParameterLayout(**self._model._architecture)
        refuse_network(model, layout.architecture, caller)
        self.answers = answers_of(model, method)
        networks = [model.parameters_, *(one["parameters_"] for one in getattr(model, "other_networks_", ()))]
        n_threads = resolve_num_threads(model.n_jobs)
        self._functions = [InputGradients(layout, arrays, n_threads) for arrays in networks]
        self._reader = WindowReader(layout.architecture, model.input_mean_, model.input_scale_)

    def values(self, windows):
        """Return the answers (n, *shape) for some windows, computed in float64."""
        return self._run(windows)[0]

    def gradients(self, windows, indices):
        """Return the answers, and for each index the gradient (n, n_rows, n_features) of that answer.

        Both by the rows as `windows` hold them.
        """
        answers, z, moments, (read, _, deviation) = self._run(windows)
        columns, units = self.answers.reference_columns, self._units(windows)
        found = []
        for index in indices:
            d_z, d_shift, d_factor = self.answers.gradient(z, moments, index)
            d_read = sum(one.gradient(read, windows.lengths, d_z[:, k]) for k, one in enumerate(self._functions))
            d_moments = np.zeros((2, len(z), self.n_features))
            if columns is not None:
                for target, column in enumerate(columns):
                    d_moments[0][:, column] += d_shift[:, target] * units[0][:, target]
                    d_moments[1][:, column] += d_factor[:, target] * units[1][:, target]
            found.append(self._reader.gradient(windows, read, deviation, d_read, *d_moments))
        return answers, found

    def _run(self, windows):
        """Return answers, raw outputs (n, n_networks, n_outputs), moments (n, 2 n_targets) and the read windows."""
        read, shift, deviation = self._reader.read(windows)
        z = np.stack([one.outputs(read, windows.lengths) for one in self._functions], axis=1)
        flat, columns = z.reshape(len(z), -1), self.answers.reference_columns
        outputs = flat
        if columns is not None:
            outputs = np.hstack([flat, shift[:, columns], deviation[:, columns]])
        if self._groups is not None:
            outputs = self._groups.moments(outputs, windows.places, 2 * len(columns or ()))
        moments = outputs[:, flat.shape[1] :]
        return self.answers.values(outputs), z, moments, (read, shift, deviation)

    def _units(self, windows):
        """Return by what the moments of a window, shift and deviation, are multiplied: the units of its group."""
        if self._groups is None:
            ones = np.ones((len(windows.rows), max(1, self.answers.n_targets)))
            return ones, ones
        _, units = self._groups.of(windows.places)
        return units, np.where(self._groups.units[windows.places] > 0, units, 0.0)

    def column_units(self, windows):
        """Return mean and unit (n, n_features) of the columns of X: the network gets (number - mean) / unit."""
        mean, unit = np.zeros((len(windows.rows), self.n_features)), np.ones((len(windows.rows), self.n_features))
        if self._groups is not None:
            means, units = self._groups.of(windows.places)
            for target, column in self._groups.columns_of_table():
                mean[:, column], unit[:, column] = means[:, target], units[:, target]
        return mean, unit

    def neutral_row(self):
        """Return what each column is where the network reads 0, in the unit in which it gets them."""
        return self._model.input_mean_

    def refuse_large(self, n_samples, n_rows, n_answers):
        """Raise if an array for all samples and answers would be too large."""
        n_numbers = n_samples * n_rows * self.n_features * n_answers
        if n_numbers > LARGEST_RESULT:
            raise ValueError(
                f"{self._caller}: the result would hold {n_numbers:.2g} numbers, at most {LARGEST_RESULT:.2g} can be: "
                f"{n_samples} samples of {n_rows} rows and {self.n_features} columns, for {n_answers} outputs. Choose "
                "some samples by `samples`, or one output by `output`."
            )


def refuse_network(model, shape, caller):
    """Raise for networks whose input gradients are not computed."""
    kind = type(model).__name__
    if hasattr(model, "quantization_dtype_"):
        raise ValueError(
            f"{caller}: this {kind} was quantised to {model.quantization_dtype_}, and integers have steps in place "
            "of a gradient. Ask the float model that it was made from."
        )
    if shape.zoneout:
        raise ValueError(
            f"{caller}: gradients by the inputs are not computed with zoneout, found zoneout={shape.zoneout}. Train "
            "with recurrent_dropout or weight_dropout instead."
        )
    if shape.time_column is not None:
        raise ValueError(
            f"{caller}: gradients by the inputs are not computed where the cell reads the time since the row before, "
            f"found cell__time_column at position {shape.time_column}."
        )
    if shape.decoder != "direct" and shape.known_columns:
        raise ValueError(
            f"{caller}: gradients by the inputs are not computed for a decoder that reads rows ahead, found decoder="
            f"{shape.decoder!r} with known_columns at positions {list(shape.known_columns)}."
        )


def check_output(output, shape):
    """Return the indices of the wanted answers, and the shape of the axes that they make.

    Parameters
    ----------
    output : int, tuple of int or None
        One of the answers for a sample; None for all.
    shape : tuple of int
        Of the answer for one sample.
    """
    if output is None:
        return list(np.ndindex(shape)), shape
    index = output if isinstance(output, tuple) else (output,)
    fits = len(index) == len(shape) and all(
        isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)) for k in index
    )
    if fits and all(-n <= k < n for k, n in zip(index, shape, strict=True)):
        return [tuple(int(k) % n for k, n in zip(index, shape, strict=True))], ()
    if not shape:
        raise ValueError(f"output={output!r}, but the answer for a sample is a single number: leave output at None.")
    wanted = "a position" if len(shape) == 1 else f"a tuple of {len(shape)} positions"
    raise ValueError(f"output={output!r}, expected {wanted} in an answer of shape {shape} for each sample.")
