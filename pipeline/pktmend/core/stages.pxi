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
        cdef _Flow flow
        if self.run == pp_stage_classify and context == NULL:
            flow = _Flow()  # outside of a pipeline the batch is all that there is to know
            context = flow.c
        with nogil:
            rc = self.run(&batch.c, context)
        if rc < 0:
            raise StageError(f"stage {self.name} failed: {os.strerror(-rc)}", stage=self.name)

    def with_memory(self):
        """Return this stage with a memory of its own from batch to batch, for one thread; itself if it needs none."""
        return classify_stage(NativeStage, remembers=True) if self.run == pp_stage_classify else self

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}>"


cdef class _Flow:
    """What classify remembers of earlier packets: one for each worker, because it is not locked."""
    cdef pp_flow *c

    def __cinit__(self):
        self.c = pp_flow_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_flow_free(self.c)


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
    cdef _Flow flow
    if remembers:  # in a pipeline each worker has a memory of its own instead
        s.keep = flow = _Flow()
        s.context = flow.c
    return s


def count_stage():
    return builtin(pp_stage_count, "count")


def repair_stage(policy, kind):
    return builtin(pp_stage_repair, "repair", policy, kind)


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
