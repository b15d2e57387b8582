"""Checks of what users hand in; the result is always `Sequences`, an array, or an error that names the argument."""

from sklstm._validation.context import check_rows_before, check_sequences_after
from sklstm._validation.groups import check_groups
from sklstm._validation.messages import naming, refuse_masked
from sklstm._validation.parameters import check_hidden_sizes, check_quantiles, median_place
from sklstm._validation.sequences import check_sequences, is_list_of_sequences, is_set_of_sequences, window_length
from sklstm._validation.targets import (
    balanced_factors,
    check_class_weight,
    check_indicator,
    check_label_weights,
    check_lengths_agree,
    check_weights,
    counted_entries,
    refuse_datetimes,
)

__all__ = [
    "balanced_factors",
    "check_class_weight",
    "check_groups",
    "check_hidden_sizes",
    "check_indicator",
    "check_label_weights",
    "check_lengths_agree",
    "check_quantiles",
    "check_rows_before",
    "check_sequences",
    "check_sequences_after",
    "check_weights",
    "counted_entries",
    "is_list_of_sequences",
    "is_set_of_sequences",
    "median_place",
    "naming",
    "refuse_datetimes",
    "refuse_masked",
    "window_length",
]
