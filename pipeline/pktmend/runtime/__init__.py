"""A running pipeline: source, stages, sink on a thread; its counters; stages of the engine and of users.

pipeline        Pipeline: start, wait, stop
pool            Pool: a few threads for many pipelines
counters        what a pipeline counted, as plain data
stages          verify, classify, count, repair, ...
native_stages   wrap_native() and build_native(): a stage of your own in C
stage_loader    the stages that a user names on the command line
numba_stage     the type of a stage that Numba compiles
stage_health    reports a stage that fails, once
"""
