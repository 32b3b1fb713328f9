"""The stopwatch: every layer, in every way it can run, timed by a worker process that may die and be replaced."""
