"""The tasks that the phases of `dozen.node.sequences` are made of."""
