"""Sources of photographs, one adapter a file."""
