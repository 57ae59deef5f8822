"""The extension module of the package; pktmend says where <pktmend/stage.h> is."""

from setuptools import Extension, setup

import pktmend

setup(ext_modules=[Extension("pktmend_drop_multicast", ["drop_multicast.c"], include_dirs=[pktmend.include_dir()])])
