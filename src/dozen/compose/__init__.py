"""From recipes to a root file system to bootable artefacts."""
