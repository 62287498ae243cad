"""The GitHub Action: runs the runner in a step of a workflow, straight from its own checkout. See action.yml."""
