"""What happens to a batch before the model and to an action after it."""
