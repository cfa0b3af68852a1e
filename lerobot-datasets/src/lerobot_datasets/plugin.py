"""What lerobot-datasets offers: components and commands by import string."""
