/* A stage in a C extension of one's own: the module's `stage` is a PyCapsule around the function.
 *
 * The capsule's name says what is in it: `pktmend.stage/1` is int (*)(pp_batch *, void *). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pktmend/stage.h>

/* Drop Ethernet frames to a group address, broadcast excepted.  Reads: link, caplen, frames.  Writes: verdict. */
static int drop_multicast(pp_batch *b, void *context)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    (void)context;
    for (uint32_t i = 0; i < b->count; i++) {
        const uint8_t *to = b->data[i];
        if (b->link[i] == 1 && b->caplen[i] >= 6 && (to[0] & 1) && memcmp(to, broadcast, 6) != 0)
            b->verdict[i] = PP_VERDICT_DROP;
    }
    return 0;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pktmend_drop_multicast",
    .m_doc = "A stage for pktmend: `stage` drops multicast.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_pktmend_drop_multicast(void)
{
    PyObject *m = PyModule_Create(&module);
    PyObject *stage = m ? PyCapsule_New((void *)(uintptr_t)drop_multicast, "pktmend.stage/1", NULL) : NULL;
    if (!stage || PyModule_AddObject(m, "stage", stage) < 0) {
        Py_XDECREF(stage);
        Py_XDECREF(m);
        return NULL;
    }
    return m;
}
