"""Trainings that leave the finite numbers: which step did is told, what may be at fault, and what to do."""

import re
from dataclasses import replace

import numpy as np
import pytest
from training.test_loop import SETTINGS, draw_samples, run, start

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._training.divergence import Divergence
from sklstm._training.loop import train

FAST = replace(SETTINGS, learning_rate=1e200, max_grad_norm=None)


def message_of(samples, settings=SETTINGS, **options):
    with pytest.raises(Divergence) as caught:
        run(samples, settings, **options)
    return str(caught.value)


def test_the_step_and_the_knobs_are_named():
    assert message_of(draw_samples(20), FAST).startswith(
        "Training diverged in epoch 2, step 1: the loss is inf and the norm of its gradient "
    )
    message = message_of(draw_samples(20), replace(FAST, batch_size=8))
    assert message.startswith("Training diverged in epoch 1, step 2: the loss is inf")
    assert message.endswith(
        " Lower learning_rate_init (now 1e+200), lower weight_decay (now 0.01; times learning_rate_init it must stay "
        "below 1), or set a small max_grad_norm (now None)."
    )


def test_advice_names_what_can_help():
    message = message_of(draw_samples(20), replace(FAST, max_grad_norm=1.0, weight_decay=0.0))
    assert message.endswith(". Lower learning_rate_init (now 1e+200).")


def test_epochs_of_going_on_are_counted_from_the_first():
    assert "diverged in epoch 9, step 1: the loss is inf" in message_of(draw_samples(20), FAST, first_epoch=7)


def test_the_last_step_is_looked_at_too():
    """One step and no other: no loss sees where it went."""
    settings = replace(FAST, learning_rate=1.7e308, max_iter=1, batch_size=20)
    assert message_of(draw_samples(20), settings).startswith(
        "Training diverged in epoch 1, in its last step: what the network then predicts is not finite. Lower learning_"
    )


def far_targets(samples, row, value):
    targets = samples.targets.copy()
    targets[row, 1] = value
    return replace(samples, targets=targets)


Y_AT_FAULT = (
    "y is at fault: a target lies 1e+200 units of target_scale_ from target_mean_. Remove or clip such outliers."
)


def test_targets_out_of_all_scale():
    """Advice on the step size would not help."""
    message = message_of(far_targets(draw_samples(20), 7, -1e200))
    assert message == (
        "Training diverged in epoch 1, step 1, before any parameter was changed: the loss is inf and the norm of its "
        f"gradient inf. {Y_AT_FAULT}"
    )
    one_each = replace(far_targets(draw_samples(20), 7, -1e200), weights=np.ones((20, 2)))
    assert message_of(one_each) == message
    # A later batch holds it.
    message = message_of(far_targets(draw_samples(20), 7, 1e200), replace(SETTINGS, batch_size=4))
    assert message.startswith("Training diverged in epoch 1, step 2: ")
    assert message.endswith(f" {Y_AT_FAULT} Lower learning_rate_init (now 0.02).")


def test_a_gradient_that_overflows():
    """A loss that is still finite in double, with a gradient that float32 cannot hold."""
    samples = draw_samples(20, dtype="float32")
    samples = replace(samples, targets=np.full_like(samples.targets, 1e38))
    network, flat = start(dtype="float32")
    network.layout.views(flat)["weight_out"][:] *= 1e3
    with pytest.raises(Divergence, match=r"the loss is \S*e\+\d+, but the norm of its gradient (inf|nan) in float32"):
        train(network, flat, samples, SETTINGS)


def test_parameters_that_were_handed_in():
    network, flat = start()
    flat *= 1e300
    with pytest.raises(Divergence, match=r"before any parameter was changed: .* goes on from are at fault: fit anew"):
        train(network, flat, draw_samples(20), SETTINGS)


def test_columns_out_of_all_scale():
    """As the network reads them: a wide column that it scales is none."""
    samples = draw_samples(20)
    table = samples.sequences.table.copy()
    table[:, 1] *= 1e9
    samples = replace(samples, sequences=replace(samples.sequences, table=table))
    message = message_of(samples, FAST)
    assert "Column 1 of X reaches " in message
    assert "e+09 as the network reads it: scale it, by input_scaling='standard' or a scaler" in message
    layout = ParameterLayout(3, (6,), 2)
    network = Network(layout, "float64", 1, input_mean=np.zeros(3), input_scale=np.array([1.0, 1e9, 1.0]))
    with pytest.raises(Divergence) as caught:
        train(network, layout.initial(np.random.default_rng(1), "float64"), samples, FAST)
    assert "Column" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_for_the_validation_part(dtype):
    """The training part is small enough to stay finite for one step, the validation part is not."""
    samples = draw_samples(20, dtype=dtype)
    settings = replace(FAST, learning_rate=1e39 if dtype == "float32" else 1e200)
    message = message_of(samples, settings, validation=samples)
    assert message.startswith("Training diverged in epoch 1, after its last step: the validation loss is ")
    assert re.search(r"with predictions of up to (inf|nan|\S*e\+200)\. Lower learning_rate_init", message)


def test_validation_targets_out_of_all_scale():
    """The network is right: the argument at fault is another."""
    validation = replace(far_targets(draw_samples(10, seed=1), 7, 1e200), names=("X_val", "y_val"))
    message = message_of(draw_samples(20), validation=validation)
    network, flat = start()
    train(network, flat, draw_samples(20), replace(SETTINGS, max_iter=1))
    assert message == (
        "Training diverged in epoch 1, after its last step: the validation loss is inf, with predictions of up to "
        f"{np.abs(network.forward(validation.sequences)).max():.3g}. {Y_AT_FAULT.replace('y is', 'y_val is')}"
    )
    # What has no weight is not at fault.
    weights = np.ones(10)
    weights[7] = 0.0
    assert run(draw_samples(20), validation=replace(validation, weights=weights))[1].n_epochs == 12


def test_divergence_is_a_value_error():
    assert issubclass(Divergence, ValueError)
