"""What people can ask for: one registry from which comments, buttons, CLI, REST, help and the reference page come."""
