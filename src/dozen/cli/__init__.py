"""dozenctl: parses arguments and prints."""
