"""Files for people: plots, films, logs for the rerun viewer."""
