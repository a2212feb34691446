"""The arguments of every command: each is declared here, and nowhere else.

A command has one class, whose fields are its options. From it come the options of the command line (`cli/declared.py`),
the inputs, outputs and arguments of the pipeline's component (`pipeline/components.py`), the parameters of the pipeline
with their defaults and descriptions (`pipeline/parameters.py`), the checks of values before a run, and the reference
in `docs/reference.md`.
"""
