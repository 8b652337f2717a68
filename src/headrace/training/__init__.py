"""Training: schedules, optimisers, the loop, checkpoints, and the processes that run it."""
