from pktmend._core.engine cimport pp_conversations


cdef class Conversations:
    cdef pp_conversations *c
