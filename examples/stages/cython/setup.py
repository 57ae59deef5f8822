"""Build wash:  python setup.py build_ext --inplace   (needs Cython, a C compiler and pktmend)"""

from Cython.Build import cythonize
from setuptools import Extension, setup

import pipeline

setup(
    name="wash",
    ext_modules=cythonize([Extension("wash", ["wash.pyx"], include_dirs=[pipeline.include_dir()])], quiet=True),
)
