"""The recurrence of an LSTM over whole captions: as fast as the device has it.

A GPU runs `keras.layers.LSTM`, which is cuDNN there, over the padded captions. A CPU runs only the
words that are there, with the matrix products of all steps in one wherever no step waits for
another: the inputs' product, and the gradient of both weight matrices.
"""

import keras
import tensorflow as tf

from tfcap.decoders.packing import Packing


def lstm(
    layer: keras.layers.LSTM, vectors: tf.Tensor, packing: Packing, h: tf.Tensor, c: tf.Tensor
) -> tf.Tensor:
    """Run an LSTM over captions.

    Args:
        layer: holds the weights.
        vectors: float [W, E], what it reads at each word.
        packing: of the captions.
        h: float [N, U], hidden state before the first word of each caption.
        c: float [N, U], cell state.

    Returns:
        the hidden state after each word, float [W, U].
    """
    if tf.config.list_logical_devices("GPU"):
        return padded_lstm(layer, vectors, packing, h, c)
    return packed_lstm(layer, vectors, packing, h, c)


def lstm_gates(sums: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the hidden and the cell state, [N, U] each, after one word.

    Args:
        sums: float [N, 4U], of the gates i, f, g and o.
        c: float [N, U], cell state before the word.
    """
    i, f, g, o = tf.split(sums, 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def padded_lstm(layer, vectors, packing, h, c) -> tf.Tensor:
    """`lstm` by way of the Keras layer."""
    captions, length = tf.size(packing.order), tf.size(packing.counts)
    padded = tf.reshape(packing.unpack(vectors), [captions, length, vectors.shape[-1]])
    hidden = layer(padded, initial_state=[h, c])
    return packing.pack(tf.reshape(hidden, [-1, hidden.shape[-1]]))


def packed_lstm(layer, vectors, packing, h, c) -> tf.Tensor:
    """`lstm` without a step for padding."""
    kernel, bias = (
        tf.cast(tf.convert_to_tensor(weights), vectors.dtype)
        for weights in (layer.cell.kernel, layer.cell.bias)
    )
    return packed_sums(layer, tf.matmul(vectors, kernel) + bias, packing, h, c)


def packed_sums(layer, inputs, packing, h, c) -> tf.Tensor:
    """`packed_lstm` of what each word adds to the sums of the gates, bias included: [W, 4U]."""
    recurrent = tf.cast(tf.convert_to_tensor(layer.cell.recurrent_kernel), inputs.dtype)
    h, c = tf.gather(h, packing.order), tf.gather(c, packing.order)
    return _recurrence(inputs, recurrent, h, c, packing.counts)


@tf.custom_gradient
def _recurrence(inputs, recurrent, h, c, counts):
    """Run the steps of an LSTM.

    Args:
        inputs: float [W, 4U], the inputs' part of the sums of the gates i, f, g and o (the names
            of `keras.layers.LSTM`, in its order), step by step.
        recurrent: float [U, 4U], weights of the hidden state.
        h: float [N, U], the first hidden state.
        c: float [N, U], the first cell state.
        counts: int32 [T], how many of the N go on at each step: the first so many of those before.

    Returns:
        the hidden states, float [W, U], and their gradient.
    """
    starts = tf.cumsum(counts, exclusive=True)
    hidden, saved = _forward(inputs, recurrent, h, c, counts, starts)

    def gradient(upstream):
        sums, h_gradient, c_gradient = _backward(
            upstream, recurrent, saved, tf.shape(h)[0], counts, starts
        )
        # Where the state that each word met stands: one step back, in the same row.
        rows = tf.range(counts[0], tf.shape(hidden)[0]) - tf.repeat(counts[:-1], counts[1:])
        met = tf.concat([h[: counts[0]], tf.gather(hidden, rows)], axis=0)
        return sums, tf.matmul(met, sums, transpose_a=True), h_gradient, c_gradient, None

    return hidden, gradient


def _forward(inputs, recurrent, h, c, counts, starts):
    """Return the hidden states [W, U], and what `_backward` needs of each step."""
    steps, units = tf.size(counts), recurrent.shape[0]

    def body(step, h, c, hidden, saved):
        start, count = starts[step], counts[step]
        c = c[:count]
        sums = inputs[start : start + count] + tf.matmul(h[:count], recurrent)
        i, f, g, o = tf.split(sums, 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c_after = f * c + i * g
        squashed = tf.tanh(c_after)
        h = o * squashed
        values = (i, f, g, o, c, squashed)
        saved = tuple(array.write(step, value) for array, value in zip(saved, values, strict=True))
        return step + 1, h, c_after, hidden.write(step, h), saved

    arrays = [_array(inputs.dtype, steps, units) for _ in range(7)]
    *_, hidden, saved = _loop(body, steps, h, c, arrays[0], tuple(arrays[1:]))
    return hidden.concat(), saved


def _backward(upstream, recurrent, saved, rows, counts, starts):
    """Return the gradients of the gates' sums [W, 4U] and of the first h and c [N, U]."""
    steps, units = tf.size(counts), recurrent.shape[0]

    def body(done, h_gradient, c_gradient, sums):
        step = steps - 1 - done
        start, count = starts[step], counts[step]
        i, f, g, o, c, squashed = (array.read(step) for array in saved)
        h_gradient = upstream[start : start + count] + _with_rows(h_gradient, count)
        c_gradient = _with_rows(c_gradient, count) + h_gradient * o * (1 - squashed * squashed)
        of_sums = tf.concat(
            [
                c_gradient * g * i * (1 - i),
                c_gradient * c * f * (1 - f),
                c_gradient * i * (1 - g * g),
                h_gradient * squashed * o * (1 - o),
            ],
            axis=1,
        )
        h_gradient = tf.matmul(of_sums, recurrent, transpose_b=True)
        return done + 1, h_gradient, c_gradient * f, sums.write(step, of_sums)

    nothing = tf.zeros([0, units], upstream.dtype)
    sums = _array(upstream.dtype, steps, 4 * units)
    _, h_gradient, c_gradient, sums = _loop(body, steps, nothing, nothing, sums)
    return sums.concat(), _with_rows(h_gradient, rows), _with_rows(c_gradient, rows)


def _loop(body, steps, h, c, *arrays):
    state = tf.TensorShape([None, h.shape[-1]])
    scalar = tf.TensorShape([])
    return tf.while_loop(
        lambda step, *_: step < steps,
        body,
        (0, h, c, *arrays),
        shape_invariants=(scalar, state, state, *tf.nest.map_structure(lambda _: scalar, arrays)),
    )


def _array(dtype, steps, width) -> tf.TensorArray:
    # The number of rows differs from step to step.
    return tf.TensorArray(
        dtype, size=steps, element_shape=[None, width], infer_shape=False, clear_after_read=False
    )


def _with_rows(tensor, rows):
    """Add rows of zeros to [n, U] until there are so many."""
    return tf.pad(tensor, [[0, rows - tf.shape(tensor)[0]], [0, 0]])
