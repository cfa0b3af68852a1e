"""What lerobot-serve offers: components and commands by import string."""
