"""Kubernetes as this system runs it: versions, and pure functions that render what its programs read."""
