"""The suite; a package, since installed ones bring a `tests` of theirs that would hide it."""
