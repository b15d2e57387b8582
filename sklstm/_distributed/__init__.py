"""Training by several processes: messages, workers, and the network whose gradients they compute."""
