# Import only after sklstm._kernels._cpu has said that this machine runs x86_v4: even module initialisation uses it.
include "isa/_isa.pxi"
