/* A stage in a C extension of one's own: the module's `stage` is a PyCapsule around what PKTMEND_STAGE exports, which
 * says for which <pktmend/stage.h> it was built. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <net/ethernet.h>
#include <string.h>

#include <pktmend/stage.h>

#define LINK_ETHERNET 1 /* LINKTYPE_ETHERNET */
#define GROUP_BIT 0x01  /* of the first byte of an address (IEEE 802) */

/* Drop Ethernet frames to a group address, broadcast excepted.  Reads: link, caplen, frames.  Writes: verdict. */
PKTMEND_STAGE(drop_multicast)
{
    static const uint8_t broadcast[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t length;
        const uint8_t *to = pktmend_packet(batch, i, &length);
        if (batch->link[i] == LINK_ETHERNET && length >= ETH_ALEN && (to[0] & GROUP_BIT) &&
            memcmp(to, broadcast, ETH_ALEN) != 0)
            pktmend_drop(batch, i);
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
    PyObject *stage = m ? PyCapsule_New((void *)&pktmend_stage_of_drop_multicast, PKTMEND_CAPSULE, NULL) : NULL;
    if (!stage || PyModule_AddObject(m, "stage", stage) < 0) {
        Py_XDECREF(stage);
        Py_XDECREF(m);
        return NULL;
    }
    return m;
}
