"""How tf.data runs our pipelines: one set of options, each with its reason."""

import tensorflow as tf


def pipeline_options() -> tf.data.Options:
    """Return the options of every pipeline."""
    options = tf.data.Options()
    # The same batches in the same order, however many threads there are.
    options.deterministic = True
    # With it, epochs ended 10 to 30 seconds after their last batch. Without it, AUTOTUNE stands for
    # as many calls as there are threads, 16 at most, and buffers have the sizes that the code gives
    # them: what is in flight does not grow with the machine's memory, so it needs no RAM budget.
    options.autotune.enabled = False
    # Threads of its own, one a core (0 has them counted where the pipeline runs): the encoder and
    # the training step run in TensorFlow's and never queue behind pictures.
    options.threading.private_threadpool_size = 0
    # Pictures are what runs in parallel: within one operation on one of them there is nothing to
    # gain. This is tf.data's default too, so an encoder in `Dataset.map` has one core to itself.
    options.threading.max_intra_op_parallelism = 1
    return options
