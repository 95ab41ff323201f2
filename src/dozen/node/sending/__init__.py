"""Sends what the node says to whoever the configuration names: lines of logs, the kernel's log, events."""
