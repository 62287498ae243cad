"""Data only: the cut of GitHub's description. README.md says where it comes from."""
