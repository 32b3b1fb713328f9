"""Width groups of PyTorch modules: which widths move together, proved; and moving them. Importing it loads PyTorch."""

from headroom.change.widths.groups.criteria import CRITERIA, Criterion
from headroom.change.widths.groups.discover import width_groups
from headroom.change.widths.groups.group import Member, Setting, WidthGroup, WidthGroups
from headroom.change.widths.groups.importance import batch_norm_importance, l1_importance
from headroom.change.widths.groups.layer_widths import LayerWidths, layer_widths
from headroom.change.widths.groups.layout import Growth
from headroom.change.widths.groups.resize import check_same_function, set_width, set_widths
from headroom.change.widths.groups.specification import load_widths, save_widths, specification
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.taylor import taylor_importance

__all__ = [
    "CRITERIA",
    "Axis",
    "Criterion",
    "Growth",
    "LayerWidths",
    "Member",
    "Setting",
    "WidthGroup",
    "WidthGroups",
    "batch_norm_importance",
    "check_same_function",
    "l1_importance",
    "layer_widths",
    "load_widths",
    "save_widths",
    "set_width",
    "set_widths",
    "specification",
    "taylor_importance",
    "width_groups",
]
