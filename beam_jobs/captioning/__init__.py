"""The job that captions pictures with an export.

Its launcher and its graph load no TensorFlow; the workers do, when they load the export.
"""
