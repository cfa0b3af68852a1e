"""Dynamixel X servos."""
