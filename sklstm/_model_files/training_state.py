"""What training goes on from, in a model file: checked against the optimizers and the number of parameters."""

from sklstm._model_files.checks import (
    anything,
    array,
    either,
    entries,
    integer,
    number,
    optional,
    refuse,
    sequence,
    text,
)
from sklstm._training.losses import LOSSES
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.schedules import SCHEDULES

_VECTOR = array("f", "parameters")
_OTHER_MOMENTS = {"sum_of_squares": number(0), "training": _VECTOR}
_SCHEDULE = entries(
    {
        "name": text(*SCHEDULES),
        "state": entries({}, {"factor": number(0), "best": number(finite=False), "waited": integer(0)}),
    }
)
_LOOP = entries(
    {},
    {
        "solver": text(*OPTIMIZERS),
        "moments": anything,  # checked by the solver
        "loss": sequence(either(text(*LOSSES), number(), sequence(number())), length=2),
        "schedule": _SCHEDULE,
        "clipping": entries({"count": integer(0), "mean": number(0), "squares": number(0)}),
        "mean_weight": entries({"count": integer(0), "mean": number(0), "exponent": integer()}),
    },
)


def _loop(value, where, sizes):
    _LOOP(value, where, sizes)
    if "moments" in value:
        place, solver = f"{where}['moments']", value.get("solver")
        if solver is None:
            refuse(place, value["moments"], "a solver beside it")
        expected = {"step": integer(0), **dict.fromkeys(OPTIMIZERS[solver].vectors, _VECTOR)}
        expected |= _OTHER_MOMENTS if solver == "schedule_free" else {}
        entries(expected)(value["moments"], place, sizes)
    schedule = value.get("schedule")
    if schedule is not None and set(schedule["state"]) not in (set(), {"factor", "best", "waited"}):
        refuse(f"{where}['schedule']", schedule, "the state of a schedule")


def _pruned(value, where, sizes):
    array("uint8", -(-sizes["parameters"] // 8))(value, where, sizes)


def _skip(value, where, sizes):
    shape = next((p.shape for p in sizes["layout"].parameters if p.name == "weight_skip"), None)
    if shape is None:
        refuse(where, value, "nothing without a linear skip")
    array("f", *shape)(value, where, sizes)


def check_training_state(value, where, sizes):
    """Check the training state of an estimator, or of one of its networks."""
    of_one = {"pruned": _pruned, "skip": _skip, "loop": optional(_loop)}
    entries({"seed": integer(0)}, {**of_one, "others": sequence(check_training_state)})(value, where, sizes)
