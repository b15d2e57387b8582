# Import only after core/_cpu.pyx has said that this machine runs x86_v4_vnni: even module initialisation uses it.
include "isa/kernels.pxi"
