"""Disks and the volumes on them: what is observed, and what is planned."""
