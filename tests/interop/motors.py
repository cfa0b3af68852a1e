"""The published package's own motor buses on our emulated servos; prints what they found as JSON.

Runs in that package's environment: `python motors.py feetech|dynamixel PORT`.
"""

from __future__ import annotations

import json
import sys

from lerobot.motors import Motor, MotorCalibration, MotorNormMode

FEETECH = {"shoulder_pan": "sts3215", "shoulder_lift": "sts3215", "elbow_flex": "sts3215"} | {
    "wrist_flex": "sts3215", "wrist_roll": "sts3215", "gripper": "sts3215"
}  # fmt: skip
DYNAMIXEL = {"shoulder_pan": "xl430-w250", "shoulder_lift": "xl430-w250", "elbow_flex": "xl330-m288"} | {
    "wrist_flex": "xl330-m288", "wrist_roll": "xl330-m288", "gripper": "xl330-m288"
}  # fmt: skip


def motors(models: dict[str, str]) -> dict[str, Motor]:
    modes = {name: MotorNormMode.RANGE_0_100 if name == "gripper" else MotorNormMode.RANGE_M100_100 for name in models}
    return {name: Motor(i, model, modes[name]) for i, (name, model) in enumerate(models.items(), 1)}


def bus_of(kind: str, port: str):
    if kind == "feetech":
        from lerobot.motors.feetech import FeetechMotorsBus

        return FeetechMotorsBus(port=port, motors=motors(FEETECH))
    from lerobot.motors.dynamixel import DynamixelMotorsBus

    return DynamixelMotorsBus(port=port, motors=motors(DYNAMIXEL))


def main() -> None:
    kind, port = sys.argv[1:]
    bus = bus_of(kind, port)
    bus.connect()  # with its handshake: ids, models, firmware
    told = {"connected": bus.is_connected, "found": bus.broadcast_ping()}
    bus.disable_torque()
    bus.configure_motors()
    told["offsets"] = bus.set_half_turn_homings()
    told["middle"] = bus.sync_read("Present_Position", normalize=False)
    low, high = 1500, 2600
    made = {name: MotorCalibration(motor.id, 0, told["offsets"][name], low, high) for name, motor in bus.motors.items()}
    bus.write_calibration(made)
    told["calibrated"] = bus.is_calibrated
    told["start"] = bus.sync_read("Present_Position")
    bus.enable_torque()
    goals = {name: 60.0 if name == "gripper" else 20.0 for name in bus.motors}
    bus.sync_write("Goal_Position", goals)
    for _ in range(200):
        told["end"] = bus.sync_read("Present_Position", num_retry=3)
        if all(abs(told["end"][name] - goal) < 1 for name, goal in goals.items()):
            break
    told["goals"] = goals
    told["voltage"] = bus.read("Present_Voltage" if kind == "feetech" else "Present_Input_Voltage", "gripper")
    bus.disconnect()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
