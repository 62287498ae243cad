"""Box runner: finds numbered test boxes, runs them tier by tier, and proves that each can fail."""

__version__ = "0.1.0"
