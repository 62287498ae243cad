"""What keeps a box inside: probing the machine, the ladder's rungs, the view of the tree that a box gets."""
