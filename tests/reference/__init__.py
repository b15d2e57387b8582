"""Independent NumPy float64 references that the tests hold the package against.

Written from the published equations, one sequence and one step at a time, for reading and not for
speed. Nothing here imports the package, and the package imports nothing from here: a mistake has
to be made twice, in two different ways, to pass unseen.
"""
