"""The operator's console: a web page of live alarms, whose verdicts become a table for training.

It keeps nothing but the verdicts. A thread reads the files that other programs write (`sources`), the state of the page
follows from them (`state`), and server-sent events tell the browsers what has changed (`hub`).
"""
