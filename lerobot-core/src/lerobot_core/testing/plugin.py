"""The toys as a plugin: `lr … --plugin` with the path of this file offers them by name."""

from lerobot_core.components import Component, hookimpl

_FAKES = "lerobot_core.testing.fakes"


def _toy(name: str, config: str, build: str, summary: str) -> Component:
    return Component(name, f"{_FAKES}:{config}", f"{_FAKES}:{build}", summary)


@hookimpl
def lr_robots():
    return [_toy("toy_arm", "ToyArmConfig", "ToyArm", "Three joints and a camera in memory")]


@hookimpl
def lr_teleoperators():
    return [_toy("toy_leader", "ToyLeaderConfig", "ToyLeader", "Moves by itself on a sine")]


@hookimpl
def lr_cameras():
    return [_toy("toy_camera", "ToyCameraConfig", "ToyCamera", "A grey that counts up")]


@hookimpl
def lr_motor_buses():
    return [_toy("toy_bus", "ToyBusConfig", "ToyBus", "Servos that are a table of numbers")]


@hookimpl
def lr_policies():
    return [_toy("tiny", "TinyConfig", "TinyPolicy", "A linear policy in numpy")]


@hookimpl
def lr_dataset_backends():
    memory = "lerobot_core.testing.memory"
    return [Component("memory", f"{memory}:MemoryConfig", f"{memory}:MemoryBackend", "Gone with the process")]
