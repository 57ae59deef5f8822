"""Build wash:  python setup.py build_ext --inplace   (needs Cython, a C compiler and pktmend)"""

from Cython.Build import cythonize
from setuptools import Extension, setup

import pktmend

setup(
    name="wash",
    ext_modules=cythonize([Extension("wash", ["wash.pyx"], include_dirs=[pktmend.include_dir()])], quiet=True),
)
