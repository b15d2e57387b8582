"""Instruction sets of the CPU, threads, buffers and signals: nothing of networks."""
