# Import only after core/_cpu.pyx has said that this machine runs baseline: even module initialisation uses it.
include "isa/kernels.pxi"
