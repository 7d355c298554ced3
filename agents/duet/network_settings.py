"""Settings of the network of the map agent."""

from dataclasses import dataclass
from typing import Literal

from clipnav.agents.transformer.network_settings import TransformerConfig

Fusion = Literal["dynamic", "average", "global", "local"]
MapRecipe = Literal["duet-r2r", "duet-r4r", "bevbert-rxr", "map-houses"]


@dataclass(frozen=True)
class MapTransformerConfig(TransformerConfig):
    """Layer sizes and dropout of the map transformer (DUET)."""

    fusion: Fusion = "dynamic"
    """Scores that decide: a learned mixture of both branches (dynamic), both with weight 1/2
    (average), or those of one branch."""
    local_candidates_only: bool = False
    """Let the local branch read [stop] and the candidates only, without the other views (DUET: no).
    The panorama encoder has already mixed the views, and the local branch is the larger one."""
    revisits: bool = False
    """Allow visited nodes as targets, except the current one (DUET: --act_visited_nodes)."""
