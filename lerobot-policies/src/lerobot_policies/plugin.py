"""What lerobot-policies offers: components and commands by import string."""
