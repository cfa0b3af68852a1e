"""`python -m lerobot_motors.emulators`: one emulator in the foreground."""

from lerobot_motors.emulators.process import main

main()
