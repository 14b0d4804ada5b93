"""The laboratory around ``lib``; imports only go down, and ``lib`` knows nothing of it.

corpora     brings videos in: generated twins, importers, checks
show        what a notebook shows: comparisons, tables, figures, pages
flow        runs it all: tasks, workflow, notebook engine, screen
use         trains on one's own videos and uses what was trained
"""
