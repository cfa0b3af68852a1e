"""A robot in one file: a simulated arm and a camera. `lr --plugin my_robot.py teleoperate --robot.type=my_robot …`"""

import attrs
import numpy as np

from lerobot_core.components import Component, hookimpl
from lerobot_core.guard import check_action, check_connected


@attrs.frozen(kw_only=True)
class MyRobotConfig:
    """A simulated arm.

    Attributes:
        reach: joints go from -reach to reach [deg].
    """

    reach: float = 90.0


class MyRobot:
    def __init__(self, config):
        self.name, self.reach, self.is_connected = "my_robot", config.reach, False
        self.action_features = {"shoulder.pos": float, "elbow.pos": float, "gripper.pos": float}
        self.observation_features = {**self.action_features, "front": (64, 64, 3)}
        self.at = dict.fromkeys(self.action_features, 0.0)

    def connect(self, calibrate=True):
        self.is_connected = True  # a real arm opens its port here

    def disconnect(self):
        self.is_connected = False

    def get_observation(self):
        check_connected(self)
        angles = np.radians(np.cumsum([self.at["shoulder.pos"], self.at["elbow.pos"]])).repeat(15)
        points = 32 + np.cumsum([-np.cos(angles), np.sin(angles)], axis=1)  # (2, 30) rows and columns of two links
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[*points.astype(int)] = 255
        return {**self.at, "front": picture}

    def send_action(self, action):
        check_action(action, self)
        self.at |= {joint: min(max(goal, -self.reach), self.reach) for joint, goal in action.items()}
        return {joint: self.at[joint] for joint in action}


@hookimpl
def lr_robots():
    return [Component("my_robot", "my_robot:MyRobotConfig", "my_robot:MyRobot", "A simulated arm and a camera")]
