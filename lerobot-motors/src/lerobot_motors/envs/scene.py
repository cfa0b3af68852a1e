"""What stands around the arm: a table, a cube, a zone to bring it to, cameras. *Pure*: imports no simulator."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lerobot_motors.envs import so101

#: Half an edge of the cube [m], its mass [kg].
HALF, MASS = 0.0125, 0.02
#: Middle of the zone on the table, and how near the cube's middle must be to it [m].
ZONE, RADIUS = (0.17, 0.12), 0.035
#: Where the cube is put: distance from the arm's pan axis [m] and direction, left positive [deg].
DISTANCE, DIRECTION = (0.15, 0.22), (-40.0, 5.0)
#: How much higher than at rest the cube's middle may be in the zone [m], and how fast it may be there [m/s].
LYING, STILL = 0.003, 0.05
#: Time of a physics step [s].
STEP = 0.002
VIEWS = ("front", "wrist", "top")


class Placement(NamedTuple):
    """Where the cube is put on the table: x and y of its middle [m], and how far it is turned [rad]."""

    x: float
    y: float
    turn: float


def placement(seed: int) -> Placement:
    """The place of the cube that belongs to a seed."""
    random = np.random.default_rng(seed)
    distance, direction = random.uniform(*DISTANCE), math.radians(random.uniform(*DIRECTION))
    x, y = so101.OFFSETS[0][0] + distance * math.cos(direction), distance * math.sin(direction)
    return Placement(x, y, random.uniform(-math.pi / 4, math.pi / 4))


def in_zone(place: np.ndarray, velocity: np.ndarray) -> bool:
    """Whether a cube whose middle is at `place` (3,) [m] lies in the zone and is still; velocity (3,) [m/s]."""
    near = math.hypot(place[0] - ZONE[0], place[1] - ZONE[1]) < RADIUS
    return bool(near and abs(place[2] - HALF) < LYING and np.linalg.norm(velocity) < STILL)


def model() -> str:
    """The world as a MuJoCo model."""
    front = so101.look((0.60, 0.0, 0.40), (0.15, 0.0, 0.05), up=(0, 0, 1))
    top = so101.look((0.17, 0.0, 0.55), (0.17, 0.0, 0.0), up=(1, 0, 0))
    # whoever has the higher priority says how rough a contact is: jaws grip, the table lets the cube slide
    contact = 'contype="1" conaffinity="3" solref="0.006 1"'
    return f"""
<mujoco model="so101">
  <compiler angle="degree"/>
  <option timestep="{STEP}" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <visual>
    <headlight ambient="0.45 0.45 0.45" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
    <quality shadowsize="0" offsamples="0"/>
    <map znear="0.02" zfar="6"/>
  </visual>
  <asset><texture name="sky" type="skybox" builtin="flat" rgb1="0.75 0.8 0.85" width="8" height="48"/></asset>
  <worldbody>
    <light pos="0.3 0.4 1.2" dir="-0.1 -0.3 -1" directional="true" diffuse="0.5 0.5 0.5" specular="0.1 0.1 0.1"/>
    <geom name="table" type="box" pos="0.2 0 -0.02" size="0.35 0.4 0.02" rgba="0.55 0.57 0.6 1" friction="0.4" priority="1" {contact}/>
    <geom name="floor" type="plane" pos="0 0 -0.4" size="3 3 0.1" rgba="0.8 0.78 0.74 1" {contact}/>
    <geom name="zone" type="cylinder" pos="{ZONE[0]} {ZONE[1]} 0.0003" size="{RADIUS + HALF} 0.0005" rgba="0.2 0.65 0.35 1" contype="0" conaffinity="0"/>
    <camera name="front" {front} fovy="40"/>
    <camera name="top" {top} fovy="45"/>
    {so101.body()}
    <body name="cube" pos="0.2 0 {HALF}">
      <freejoint name="cube"/>
      <geom name="cube" type="box" size="{HALF} {HALF} {HALF}" mass="{MASS}" rgba="0.85 0.1 0.12 1" condim="4" {contact}/>
    </body>
  </worldbody>
  <actuator>{so101.actuators()}</actuator>
</mujoco>"""
