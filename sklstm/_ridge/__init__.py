"""The linear part of a network, solved as a ridge regression on the windows that the network reads."""
