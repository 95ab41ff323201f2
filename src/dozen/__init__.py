"""Dozen Linux: an operating system of twelve binaries whose only job is to be a Kubernetes node."""

__version__ = "0.1.0"
