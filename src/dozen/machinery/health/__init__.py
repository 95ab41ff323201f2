"""Whether a cluster is well: checks as data, and their run over what a control plane node or a client sees of it."""
