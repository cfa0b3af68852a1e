"""The toys as a plugin: `lr … --plugin lerobot_core.testing.plugin` offers one of every role by name."""

from lerobot_core.components import Command, Component, hookimpl

_FAKES = "lerobot_core.testing.fakes"


def _toy(name: str, build: str, summary: str, suite: str = "") -> Component:
    home = f"{_FAKES}.suites:{suite}" if suite else ""
    return Component(name, f"{_FAKES}:{build}Config", f"{_FAKES}:{build}", summary, suite=home)


@hookimpl
def lr_robots():
    return [_toy("toy_arm", "ToyArm", "Three joints and a camera in memory", "ToyArmSuite")]


@hookimpl
def lr_teleoperators():
    return [_toy("toy_leader", "ToyLeader", "Moves by itself on a sine", "ToyLeaderSuite")]


@hookimpl
def lr_cameras():
    return [_toy("toy_camera", "ToyCamera", "Pictures that count up", "ToyCameraSuite")]


@hookimpl
def lr_motor_buses():
    return [_toy("toy_bus", "ToyBus", "Servos that are a table of numbers", "ToyBusSuite")]


@hookimpl
def lr_policies():
    tiny = f"{_FAKES}:TinyPolicy"
    suite = f"{_FAKES}.suites:TinySuite"
    return [Component("tiny", f"{_FAKES}:TinyConfig", tiny, "A linear policy in numpy", suite=suite)]


@hookimpl
def lr_processor_steps():
    return [_toy("delta", "Delta", "Adds how far each scalar has come")]


@hookimpl
def lr_dataset_backends():
    memory, suite = "lerobot_core.testing.memory", f"{_FAKES}.suites:MemorySuite"
    return [
        Component("memory", f"{memory}:MemoryConfig", f"{memory}:MemoryBackend", "Gone with the process", suite=suite)
    ]


@hookimpl
def lr_aggregators():
    return [_toy("mean", "Mean", "A share of the new, the rest of the old")]


@hookimpl
def lr_envs():
    return [_toy("toy_env", "ToyEnv", "Two joints that reach for a place", "ToyEnvSuite")]


@hookimpl
def lr_trackers():
    return [_toy("toy_tracker", "ToyTracker", "Keeps the numbers in memory", "ToyTrackerSuite")]


@hookimpl
def lr_commands():
    return [Command("toy turns", f"{_FAKES}.software:turns", "Say how many turns make a whole one.")]
