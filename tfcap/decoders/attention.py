"""Multi-head dot-product attention."""

from collections.abc import Callable

import tensorflow as tf


def split_heads(tensor: tf.Tensor, length: tf.Tensor | int, heads: int) -> tf.Tensor:
    """Split vectors among heads.

    Args:
        tensor: [N * M, H * D], or any other shape of N sequences of M vectors.
        length: M.
        heads: H.

    Returns:
        [N, H, M, D].
    """
    width = tensor.shape[-1] // heads
    if isinstance(length, int) and length == 1:  # a word of a search, where each operation counts
        return tf.reshape(tensor, [-1, heads, 1, width])
    return tf.transpose(tf.reshape(tensor, [-1, length, heads, width]), [0, 2, 1, 3])


def merge_heads(tensor: tf.Tensor) -> tf.Tensor:
    """Return [N, H, M, D] as [N * M, H * D]: the inverse of `split_heads`."""
    heads, width = tensor.shape[1], tensor.shape[3]
    if tensor.shape[2] == 1:
        return tf.reshape(tensor, [-1, heads * width])
    return tf.reshape(tf.transpose(tensor, [0, 2, 1, 3]), [-1, heads * width])


def attend(
    queries: tf.Tensor,
    keys: tf.Tensor,
    values: tf.Tensor,
    mask: tf.Tensor | None = None,
    dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Let queries mix values by their keys.

    Args:
        queries: float [N, H, Q, D].
        keys: float [N, H, M, D].
        values: float [N, H, M, D].
        mask: bool, broadcast to [N, H, Q, M]: which values a query may see; all by default.
        dropout: what the weights go through before they mix.

    Returns:
        (mixed values [N, H, Q, D], weights before dropout, float32 [N, H, Q, M], 1 in sum).
    """
    scores = _products(queries * queries.shape[-1] ** -0.5, keys, transpose=True)
    scores = tf.cast(scores, tf.float32)
    if mask is not None:
        scores = tf.where(mask, scores, scores.dtype.min)
    weights = _softmax(scores)
    mixing = dropout(weights) if dropout else weights
    return _products(tf.cast(mixing, values.dtype), values), weights


def _products(left: tf.Tensor, right: tf.Tensor, transpose: bool = False) -> tf.Tensor:
    """Return the products of matrices [N, H, Q, X] and [N, H, X, Y], or [N, H, Y, X] transposed.

    Those of one query are too small for oneDNN, which `tf.matmul` becomes on a CPU: it takes longer
    to set out than to multiply. The same operation in its third version stays as it is.
    """
    if left.shape[2] == 1:
        return tf.raw_ops.BatchMatMulV3(x=left, y=right, adj_y=transpose, Tout=left.dtype)
    return tf.matmul(left, right, transpose_b=transpose)


def _softmax(scores: tf.Tensor) -> tf.Tensor:
    """Return the softmax of [N, H, Q, M] over M; that of one query without oneDNN, as above."""
    if scores.shape[2] == 1:
        return tf.exp(tf.nn.log_softmax(scores))
    return tf.nn.softmax(scores)


def cells(features: tf.Tensor) -> tf.Tensor:
    """Return the cells of maps [N, h, w, C], one after the other, as [N * h * w, C]."""
    return tf.reshape(features, [-1, features.shape[-1]])


def weights_on_map(weights: tf.Tensor, features: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """Lay weights of cells out on the map.

    Args:
        weights: float32 [B, H, K * T, h * w].
        features: [B, h, w, C].
        words: [B, K, T].

    Returns:
        their mean over heads, float32 [B, K, T, h, w].
    """
    shape = tf.concat([tf.shape(words), tf.shape(features)[1:3]], axis=0)
    return tf.reshape(tf.reduce_mean(weights, axis=1), shape)
