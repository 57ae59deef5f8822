# Stages in C: the engine's own, and the wrapper around a user's.

cdef class NativeStage:
    """A C function over pp_batch with its context; callable with a Batch, and run without the GIL in a pipeline."""
    cdef pp_stage_fn run
    cdef void *context
    cdef uint32_t option
    cdef object keep
    cdef readonly str name
    cdef readonly bint is_builtin

    def __call__(self, Batch batch not None):
        cdef int rc
        cdef void *context = self.context
        cdef _Witnesses witnesses
        if self.run == pp_stage_classify:
            witnesses = _Witnesses()  # outside of a pipeline the batch is all that there is to know
            context = witnesses.c
        with nogil:
            rc = self.run(&batch.c, context)
        if rc < 0:
            raise StageError(f"stage {self.name} failed: {os.strerror(-rc)}", stage=self.name)

    def __repr__(self):
        return f"<NativeStage {self.name}>"


cdef class _Witnesses:
    """What classify remembers of earlier packets: one for each worker, because it is not locked."""
    cdef pp_witnesses *c

    def __cinit__(self):
        self.c = pp_witnesses_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_witnesses_free(self.c)


cdef NativeStage builtin(pp_stage_fn run, str name, option=None):
    cdef NativeStage s = NativeStage.__new__(NativeStage)
    s.run, s.name, s.is_builtin = run, name, True
    if option is not None:
        s.option = option
        s.context = &s.option
    return s


cdef NativeStage stage_on(pp_stage_fn run, str name, void *context, object keep):
    cdef NativeStage s = builtin(run, name)
    s.context, s.keep = context, keep
    return s


def verify_stage(option=0):
    return builtin(pp_stage_verify, "verify", option)


def classify_stage():
    return builtin(pp_stage_classify, "classify")


def count_stage():
    return builtin(pp_stage_count, "count")


def repair_stage(policy):
    return builtin(pp_stage_repair, "repair", policy)


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


def native_stage(address, name, context=0, keep=None):
    """Wrap the function at *address* (a uintptr_t, or a PyCapsule named as a stage's); keep: what owns it."""
    cdef NativeStage s = NativeStage.__new__(NativeStage)
    cdef const char *capsule
    if isinstance(address, int):
        s.run = <pp_stage_fn><uintptr_t>address
    elif PyCapsule_CheckExact(address):
        capsule = PyCapsule_GetName(address)
        found = None if capsule == NULL else (<bytes>capsule).decode()
        if found not in (CAPSULE, CYTHON_CAPSULE):
            raise ConfigError(f"a stage's PyCapsule is named {CAPSULE!r} or, by Cython, {CYTHON_CAPSULE!r}, not {found!r}")
        s.run = <pp_stage_fn>PyCapsule_GetPointer(address, capsule)
    else:
        raise ConfigError(f"{address!r} is neither an address nor a PyCapsule")
    if s.run == NULL:
        raise ConfigError("a native stage at address 0")
    s.context = <void *><uintptr_t>context
    s.name, s.keep = name, keep
    return s
