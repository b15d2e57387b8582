# Import only after sklstm._kernels._cpu has said that this machine runs baseline: even module initialisation uses it.
include "isa/_isa.pxi"
