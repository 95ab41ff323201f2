"""Whether the cluster as a whole is well, asked from one of its control plane nodes: checks as data, and their run."""
