# Import only after sklstm._kernels._cpu has said that this machine can run x86_v3: even module initialisation uses its instructions.
include "isa/_isa.pxi"
