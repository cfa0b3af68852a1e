"""Steps of the control loop on poses of a gripper, and the kinematics behind them; options in `configs.py`."""
