"""Network blocks that more than one policy is made of."""
