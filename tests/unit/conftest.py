"""What every unit test may count on."""

from dozen.compose.protos import ensure_descriptors

ensure_descriptors()
