"""What GitHub does when somebody acts: the change of state and the events that follow from it."""
