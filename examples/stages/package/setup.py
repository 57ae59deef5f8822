"""The extension module of the package; pktmend says where pp.h is."""

from setuptools import Extension, setup

import pipeline

setup(ext_modules=[Extension("pktmend_drop_multicast", ["drop_multicast.c"], include_dirs=[pipeline.include_dir()])])
