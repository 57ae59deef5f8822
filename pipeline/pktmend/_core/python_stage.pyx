"""A stage in Python, as the engine calls it: the GIL is taken here, once for a batch."""

import os
from libc.errno cimport EIO
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend.stage cimport *


cdef class _PythonStage:
    """A Python callable as the engine calls it: takes the GIL once per batch."""

    def __cinit__(self, call, Batch batch=None):
        self.call, self.batch = call, batch
        self.name = getattr(call, "name", None) or getattr(call, "__name__", type(call).__name__)

    cdef bint goes_on(self) noexcept:
        return self.guard != NULL and self.guard.on_error != PP_ON_ERROR_END

    cdef int fail(self, error) except -1:
        """Remember *error*, and only its words where the pipeline goes on; the views in its frames are let go of."""
        if not self.goes_on():
            self.error = error
        if self.fault is None:
            at, where = error.__traceback__, ""
            while at is not None:
                where = f" ({os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})"
                at = at.tb_next
            self.fault = f"{type(error).__name__}: {error}{where}"
        import traceback  # here: few stages ever fail, and it is large

        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__
        return 0


cdef int run_python(pp_batch *b, void *context) noexcept with gil:
    cdef _PythonStage stage = <_PythonStage>context
    cdef Batch batch = stage.batch
    cdef int rc = 0
    try:
        batch.call += 1
        batch.fresh = 0
        batch.opened = batch.exports > 0  # through a view of an earlier call too it may write
        batch.undo = {} if stage.goes_on() else None
        try:
            stage.call(batch)
        except BaseException as error:
            rc = -EIO
            stage.fail(error)
        if rc == 0 and batch.fresh:
            rc = -EIO
            stage.fail(BufferError(f"{batch.fresh} view(s) of the batch are still alive; copy what is to be kept"))
    except BaseException as error:  # while an error was put into words
        stage.error = error
        rc = -EIO
    if stage.guard != NULL:
        stage.guard.edited = batch.opened
    return rc


cdef void undo_python(pp_batch *b, void *context) noexcept with gil:
    """Put back the bytes of the frames that the stage has asked for."""
    cdef Batch batch = (<_PythonStage>context).batch
    cdef uint32_t head
    cdef bytes data
    for i, data in (batch.undo or {}).items():
        head = batch.headroom(i)
        memcpy(b.data[i] - head, <char *>data, len(data))
