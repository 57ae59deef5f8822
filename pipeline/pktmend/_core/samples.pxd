from pktmend._core.engine cimport pp_sample, pp_spool


cdef class Sampler:
    cdef pp_sample *c


cdef class Spool:
    cdef pp_spool c
