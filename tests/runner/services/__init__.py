"""Services, egress and faults, against real servers."""
