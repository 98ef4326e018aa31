"""Parts of a graph that most calls pass by."""

import functools

import tensorflow as tf

# A function of the graph that stays a function. TensorFlow writes the body of any other in the
# place of its call, in a branch too, and whoever runs a graph sets up each of its operations,
# whether it comes to be run or not. A dataset does so at every call of the signature that it stands
# in. What is apart is set up when it is called.
rarely = functools.partial(
    tf.function, autograph=False, experimental_attributes={"_noinline": True}
)
