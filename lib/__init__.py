"""vidlab: a reproducible laboratory for short-video embedding and classification.

Floors, from the ground up; imports only go down, and the two ground floors do not know each other:

    recipes     what to run: YAML in, frozen jobs out         runs       where results lie
    data        one store for corpora of any origin
    features    text and frames as arrays, built once
    models      five slots: text, frames, fusion, pooling, head
    objectives  named loss terms that may corrupt their input
    training    one loop
    evaluation  scores, intervals, ensembles, submissions
    stages      wires all of the above for one job
"""

__version__ = "0.1.0"
