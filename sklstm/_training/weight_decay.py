"""The weight decay, given or automatic.

A step takes the share ``learning_rate * weight_decay`` from each weight, so that a weight is about the sum of the last
``1 / (learning_rate * weight_decay)`` updates. For numbers, the automatic decay makes this number of steps a number of
epochs (Wang and Aitchison 2024), but no fewer steps than a network needs to learn at all. It never exceeds 1, so that a
small step size makes small steps. Classes are another matter: the log loss asks for weights that go on growing, and a
decay costs more than it saves.
"""

from sklstm._training.divergence import OF_CLASSES
from sklstm._training.optimizers import OPTIMIZERS

N_EPOCHS = 30
SMALLEST_N_STEPS = 1000
# Of classes, and of a solver whose decay is a part of the gradient, by whose size Adam divides it.
CONSTANT = 0.01
LARGEST = 1.0


def weight_decay(settings, steps_per_epoch):
    """Return the decay of a training with so many steps in an epoch: that of the settings, where they have one."""
    if settings.weight_decay is not None:
        return settings.weight_decay
    if settings.loss in OF_CLASSES or not OPTIMIZERS[settings.optimizer].is_decoupled:
        return CONSTANT
    return automatic_weight_decay(settings.learning_rate, steps_per_epoch)


def automatic_weight_decay(learning_rate, steps_per_epoch):
    """Return the decay behind ``weight_decay="auto"`` for numbers."""
    return 1.0 / max(1.0 / LARGEST, learning_rate * max(SMALLEST_N_STEPS, N_EPOCHS * steps_per_epoch))
