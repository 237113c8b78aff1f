"""Own data to a data set, its split, a report and a config that trains."""
