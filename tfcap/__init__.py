"""Image captioning on TensorFlow: input pipeline, model, search, metrics, export, command."""
