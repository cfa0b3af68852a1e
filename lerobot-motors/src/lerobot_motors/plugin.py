"""What lerobot-motors offers: components and commands by import string."""
