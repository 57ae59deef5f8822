"""What is handed on: a report in one HTML file, and the drawing of a path that `doctor --graph` prints as well.

Does not: decide anything.  Commands fill the models (Report, Drawing), writers here put them into a format.
"""
