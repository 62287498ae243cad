"""What a controller does in each state of a deployment. Each may be entered again after a crash, and looks first."""
