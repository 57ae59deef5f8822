"""Stages in C: the engine's own, and the wrapper around a user's."""

import os
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.stdint cimport uint32_t, uintptr_t
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend.stage cimport *

from pktmend.errors import ConfigError, StageError

CAPSULE = PKTMEND_CAPSULE.decode()


cdef class NativeStage:
    """A C function over pp_batch with its context; callable with a Batch, and run without the GIL in a pipeline."""

    def __call__(self, Batch batch not None):
        cdef int rc
        cdef void *context = self.context
        cdef _Witnesses witnesses
        if self.run == pp_stage_classify and context == NULL:
            witnesses = _Witnesses()  # outside of a pipeline the batch is all that there is to know
            context = witnesses.c
        batch.located = False  # it may verify
        with nogil:
            rc = self.run(&batch.c, context)
        if rc < 0:
            raise StageError(f"stage {self.name} failed: {os.strerror(-rc)}", stage=self.name)

    def with_memory(self):
        """Return this stage with a memory of its own from batch to batch, for one thread; itself if it needs none."""
        return classify_stage(NativeStage, remembers=True) if self.run == pp_stage_classify else self

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}>"


cdef class _Witnesses:
    """What classify remembers of earlier packets: one for each worker, because it is not locked."""

    def __cinit__(self):
        self.c = pp_witnesses_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_witnesses_free(self.c)


cdef NativeStage builtin(pp_stage_fn run, str name, option=None, kind=NativeStage):
    cdef NativeStage s = NativeStage.__new__(kind)
    s.run, s.name, s.is_builtin = run, name, True
    if option is not None:
        s.option = option
        s.context = &s.option
    return s


cdef NativeStage stage_on(pp_stage_fn run, str name, void *context, object keep):
    cdef NativeStage s = builtin(run, name)
    s.context, s.keep = context, keep
    return s


def verify_stage(option, kind):
    return builtin(pp_stage_verify, "verify", option, kind)


def classify_stage(kind, *, remembers=False):
    cdef NativeStage s = builtin(pp_stage_classify, "classify", None, kind)
    cdef _Witnesses witnesses
    if remembers:  # in a pipeline each worker has a memory of its own instead
        s.keep = witnesses = _Witnesses()
        s.context = witnesses.c
    return s


def count_stage():
    return builtin(pp_stage_count, "count")


def repair_option(policy, excepted):
    """Return the option of repair_stage() and count_left_stage(): a policy, and the causes that are left as they are."""
    cdef uint32_t option = policy
    for cause in excepted:
        option |= PP_REPAIR_EXCEPT(cause)
    return option


def repair_stage(option, kind):
    return builtin(pp_stage_repair, "repair", option, kind)


def count_left_stage(option):
    return builtin(pp_stage_count_left, "count_left", option)


def drop_corrupt_stage():
    return builtin(pp_stage_drop_corrupt, "drop_corrupt")


def time_stage(NativeStage stage not None, Batch batch not None, uint32_t calls):
    """Return the ns that *calls* runs of *stage* over *batch* take together, without the GIL: for the bench."""
    cdef timespec start, end
    cdef int rc = 0
    cdef uint32_t i
    cdef pp_tally tally
    memset(&tally, 0, sizeof(tally))
    with nogil:
        batch.c.tally = &tally
        clock_gettime(CLOCK_MONOTONIC, &start)
        for i in range(calls):
            rc |= stage.run(&batch.c, stage.context)
        clock_gettime(CLOCK_MONOTONIC, &end)
        batch.c.tally = NULL
    if rc < 0:
        raise StageError(f"stage {stage.name} failed", stage=stage.name)
    return (end.tv_sec - start.tv_sec) * 1_000_000_000 + (end.tv_nsec - start.tv_nsec)


cdef NativeStage user_stage(pp_stage_fn run, str name, abi, size, uintptr_t context, keep):
    """A user's function, if it was built for this pp_batch: not called, and refused by name, if it was not."""
    cdef NativeStage s = NativeStage.__new__(NativeStage)
    if abi != PP_ABI:
        raise ConfigError(f"stage {name} was built for ABI {abi} of <pktmend/stage.h>, this is ABI {PP_ABI}",
                          "build it again with the header in pktmend.include_dir()")
    if size > sizeof(pp_batch):
        raise ConfigError(f"stage {name} was built for a pp_batch of {size} bytes; this pktmend's has {sizeof(pp_batch)}",
                          "it needs a newer pktmend, or to be built again with the header of this one")
    if run == NULL:
        raise ConfigError(f"stage {name} has no function")
    s.run, s.context, s.name, s.keep = run, <void *>context, name, keep
    return s


def native_stage(uintptr_t address, str name, *, abi, size, uintptr_t context=0, keep=None):
    """Wrap the function at *address*, built for *abi* and a pp_batch of *size* bytes; keep: what owns it."""
    return user_stage(<pp_stage_fn>address, name, abi, size, context, keep)


def capsule_stage(capsule, str name, *, uintptr_t context=0):
    """Wrap the pktmend_stage in a PyCapsule, whose name says for which ABI it was built."""
    cdef const char *found = PyCapsule_GetName(capsule)
    cdef const pktmend_stage *stage
    called = "" if found == NULL else found.decode()
    prefix, _, abi = called.rpartition("/")
    if f"{prefix}/" != PKTMEND_CAPSULE_PREFIX.decode() or not abi.isdecimal():
        raise ConfigError(f"a stage's PyCapsule is named {CAPSULE!r}, not {called!r}",
                          "PKTMEND_CAPSULE in C; stage_capsule() in Cython, from pktmend.stage")
    if called != CAPSULE:
        return user_stage(NULL, name, int(abi), 0, 0, None)  # which says so
    stage = <const pktmend_stage *>PyCapsule_GetPointer(capsule, found)
    return user_stage(stage.run, name, stage.abi, stage.size, context, capsule)
