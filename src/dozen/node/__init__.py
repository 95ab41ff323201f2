"""What runs on a node: machined (PID 1) and its other names."""
