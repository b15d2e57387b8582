"""Errors of a training that diverges: in which step, the probable cause and the remedy."""

from numbers import Real

import numpy as np

# Targets and columns of X are standardised. Values further off than this are named as the probable cause.
FAR = 1e6
# Losses whose targets are classes or probabilities, which are never far off.
OF_CLASSES = ("binary_log", "multinomial_log", "distilled_binary", "distilled_multinomial")


class Divergence(ValueError):
    """The loss or the gradient is not finite."""


def check_step(passes, value, norm, epoch, step, *, is_first):
    """Raise unless loss and gradient norm of a step are finite; `is_first`: no parameter has been changed yet."""
    if np.isfinite(value) and np.isfinite(norm):
        return
    place = f"epoch {epoch + 1}, step {step + 1}"
    if np.isfinite(value):
        what = f"the loss is {value:g}, but the norm of its gradient {norm:g} in {passes.network.dtype_name}"
    else:
        what = f"the loss is {value:g} and the norm of its gradient {norm:g}"
    if not is_first:
        raise Divergence(f"Training diverged in {place}: {what}. {_what_to_do(passes, passes.samples)}")
    at_fault = " ".join(_far_off(passes, passes.samples))
    raise Divergence(
        f"Training diverged in {place}, before any parameter was changed: {what}. "
        + (at_fault or "The parameters that training goes on from are at fault: fit anew, with warm_start=False.")
    )


def check_last_step(passes, z, epoch):
    """Raise unless the predictions after the last step, for which no loss is computed, are finite."""
    if not np.isfinite(z).all():
        raise Divergence(
            f"Training diverged in epoch {epoch + 1}, in its last step: what the network then predicts is not finite. "
            + _what_to_do(passes, passes.samples)
        )


def check_validation(passes, value, z, validation, epoch):
    """Raise unless the validation loss is finite."""
    if np.isfinite(value):
        return
    size = np.abs(z).max()
    what = f"the validation loss is {value:g}, with predictions of up to {size:.3g}"
    raise Divergence(
        f"Training diverged in epoch {epoch + 1}, after its last step: {what}. "
        + _what_to_do(passes, validation, steps_at_fault=not size <= FAR)
    )


def _what_to_do(passes, samples, *, steps_at_fault=True):
    far_off = _far_off(passes, samples)
    return " ".join([*far_off, _advice(passes.settings)] if steps_at_fault or not far_off else far_off)


def _advice(settings):
    """Return advice for steps that are too large."""
    ways = [f"Lower learning_rate_init (now {settings.learning_rate:g})"]
    if settings.weight_decay is not None and settings.learning_rate * settings.weight_decay >= 1:
        # Decay of more than the whole weight in one step flips its sign.
        ways.append(
            f"lower weight_decay (now {settings.weight_decay:g}; times learning_rate_init it must stay below 1)"
        )
    if not isinstance(settings.max_grad_norm, Real) or settings.max_grad_norm > 1:
        ways.append(f"set a small max_grad_norm (now {settings.max_grad_norm!r})")
    return ways[0] + "." if len(ways) == 1 else f"{', '.join(ways[:-1])}, or {ways[-1]}."


def _far_off(passes, samples):
    """Name the arguments that hold values far from their usual range."""
    found = []
    size = np.zeros(1)
    if passes.settings.loss not in OF_CLASSES:
        size = np.abs(np.where(samples.weights.reshape(len(samples.targets), -1) > 0, samples.targets, 0))
    if size.max() > FAR:
        found.append(
            f"{samples.names[1]} is at fault: a target lies {size.max():.3g} units of target_scale_ from target_mean_. "
            "Remove or clip such outliers."
        )
    column, value = _largest_input(passes.network, samples.sequences)
    if value > FAR:
        found.append(
            f"Column {column} of {samples.names[0]} reaches {value:.3g} as the network reads it: scale it, by "
            "input_scaling='standard' or a scaler before the estimator, or clip its outliers."
        )
    return found


def _largest_input(network, sequences):
    """Return the column and the size of the largest value of the table, as the first layer reads it.

    With `window_norm`, every window is near zero, and no value is far off.
    """
    table, largest = sequences.table, np.zeros(sequences.table.shape[1])
    if network.architecture.window_norm is not None:
        return 0, 0.0
    mean = 0.0 if network.input_mean is None else network.input_mean
    scale = 1.0 if network.input_scale is None else network.input_scale
    with np.errstate(over="ignore"):
        for begin in range(0, len(table), 4096):
            rows = (table[begin : begin + 4096].astype(np.float64) - mean) / scale
            np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
    column = int(largest.argmax())
    return column, float(largest[column])
