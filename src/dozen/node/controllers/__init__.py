"""Controllers and watchers of the node, by domain."""
