"""Settings, logging and the names of task queues: the bottom layer, which imports nothing of ours."""
