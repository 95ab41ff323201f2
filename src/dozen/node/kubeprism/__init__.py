"""Carries connections to the API servers of the cluster, to the nearest of those that answer."""
