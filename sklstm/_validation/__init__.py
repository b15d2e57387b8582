"""Checks of user input; the result is `Sequences`, an array, or an error that names the argument."""

from sklstm._validation.context import check_rows_before, check_sequences_after, holds_no_rows, in_place_of_rows
from sklstm._validation.future import Ahead, Future, check_range_ahead, known_rows, look_ahead, refuse_future
from sklstm._validation.groups import RowGroups, check_groups, labels_of
from sklstm._validation.kinds import (
    advice_for_axes,
    axes_advice,
    check_container,
    check_kind,
    is_dask,
    is_list_of_sequences,
    is_set_of_sequences,
    refuse_no_container,
    refuse_table_for_sequences,
    refuse_target_per_row,
    refuse_times,
)
from sklstm._validation.messages import naming, refuse_masked
from sklstm._validation.parameters import check_hidden_sizes, check_quantiles, median_place
from sklstm._validation.range import NEGATIVE_GAP, beyond_range, check_range, overflow, refuse_overflow
from sklstm._validation.scales import warn_of_other_scale
from sklstm._validation.sequences import (
    check_entry,
    check_names_of_list,
    check_sequences,
    refuse_other_width,
    window_length,
)
from sklstm._validation.steps import check_labels_of_steps, check_steps, title_of_row
from sklstm._validation.targets import (
    balanced_factors,
    check_class_weight,
    check_indicator,
    check_label_weights,
    check_labels,
    check_lengths_agree,
    check_numbers,
    check_weights,
    counted_entries,
    refuse_datetimes,
)

__all__ = [
    "NEGATIVE_GAP",
    "Ahead",
    "Future",
    "RowGroups",
    "advice_for_axes",
    "axes_advice",
    "balanced_factors",
    "beyond_range",
    "check_class_weight",
    "check_container",
    "check_entry",
    "check_groups",
    "check_hidden_sizes",
    "check_indicator",
    "check_kind",
    "check_label_weights",
    "check_labels",
    "check_labels_of_steps",
    "check_lengths_agree",
    "check_names_of_list",
    "check_numbers",
    "check_quantiles",
    "check_range",
    "check_range_ahead",
    "check_rows_before",
    "check_sequences",
    "check_sequences_after",
    "check_steps",
    "check_weights",
    "counted_entries",
    "holds_no_rows",
    "in_place_of_rows",
    "is_dask",
    "is_list_of_sequences",
    "is_set_of_sequences",
    "known_rows",
    "labels_of",
    "look_ahead",
    "median_place",
    "naming",
    "overflow",
    "refuse_datetimes",
    "refuse_future",
    "refuse_masked",
    "refuse_no_container",
    "refuse_other_width",
    "refuse_overflow",
    "refuse_table_for_sequences",
    "refuse_target_per_row",
    "refuse_times",
    "title_of_row",
    "warn_of_other_scale",
    "window_length",
]
