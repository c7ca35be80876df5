"""Tables → tables: order, choice, groups and smoothing. Pure, over all rows of a table."""

from swanlab_export.analysis.groups import GROUP_STATISTICS, group_rows
from swanlab_export.analysis.order import limit_rows, sort_rows, varying_columns
from swanlab_export.analysis.points import PointGroups
from swanlab_export.analysis.smoothing import Smoother

__all__ = [
    "GROUP_STATISTICS",
    "PointGroups",
    "Smoother",
    "group_rows",
    "limit_rows",
    "sort_rows",
    "varying_columns",
]
