"""Tables → tables: order, choice, groups and smoothing. Pure, over all rows of a table."""

from swanlab_export.analysis.groups import GROUP_STATISTICS, group_points, group_rows
from swanlab_export.analysis.order import limit_rows, sort_rows, varying_columns
from swanlab_export.analysis.smoothing import Smoother

__all__ = [
    "GROUP_STATISTICS",
    "Smoother",
    "group_points",
    "group_rows",
    "limit_rows",
    "sort_rows",
    "varying_columns",
]
