"""The serial arms that are driven, by their rows."""

from __future__ import annotations

from lerobot_motors import catalogue
from lerobot_motors.catalogue import ArmRow
from lerobot_motors.robots.configs import HopeJrHandConfig
from lerobot_motors.robots.follower import Follower


class SoFollower(Follower):
    """SO-100 and SO-101."""

    row = catalogue.SO_FOLLOWER


class KochFollower(Follower):
    """Koch v1.1."""

    row = catalogue.KOCH_FOLLOWER


class OmxFollower(Follower):
    """OpenMANIPULATOR-X."""

    row = catalogue.OMX_FOLLOWER


class ViperxFollower(Follower):
    """ViperX 300 of ALOHA 2."""

    row = catalogue.VIPERX_FOLLOWER


class HopeJrArm(Follower):
    """Arm of a HopeJR."""

    row = catalogue.HOPE_JR_ARM


class HopeJrHand(Follower):
    """Hand of a HopeJR: its two sides have different servos mounted the other way round."""

    row = catalogue.HOPE_JR_HAND["right"]

    def row_of(self, config: HopeJrHandConfig) -> ArmRow:
        return catalogue.HOPE_JR_HAND[config.side]
