"""The serial arms that a person holds, by their rows."""

from __future__ import annotations

from lerobot_motors import catalogue
from lerobot_motors.catalogue import ArmRow
from lerobot_motors.teleoperators.configs import OpenarmMiniConfig
from lerobot_motors.teleoperators.leader import Leader


class SoLeader(Leader):
    """SO-100 and SO-101."""

    row = catalogue.SO_LEADER


class KochLeader(Leader):
    """Koch v1.1."""

    row = catalogue.KOCH_LEADER


class OmxLeader(Leader):
    """OpenMANIPULATOR-X."""

    row = catalogue.OMX_LEADER


class WidowxLeader(Leader):
    """WidowX 250 of ALOHA 2."""

    row = catalogue.WIDOWX_LEADER


class OpenarmMini(Leader):
    """OpenArm Mini: its two sides count their joints differently."""

    row = catalogue.OPENARM_MINI["right"]

    def row_of(self, config: OpenarmMiniConfig) -> ArmRow:
        return catalogue.OPENARM_MINI[config.side]
