"""The flags of code objects, by the names that `inspect` has for them.

Cython's modules for the Limited API look them up when they are loaded; setup.py has them do it here, because to load
`inspect` takes longer than all of them together.
"""

CO_OPTIMIZED = 0x0001
CO_NEWLOCALS = 0x0002
CO_VARARGS = 0x0004
CO_VARKEYWORDS = 0x0008
CO_GENERATOR = 0x0020
CO_COROUTINE = 0x0080
CO_ASYNC_GENERATOR = 0x0200
