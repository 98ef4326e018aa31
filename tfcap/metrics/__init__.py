"""Caption metrics that agree with the COCO evaluation code, without its Java."""

from tfcap.metrics.results import read_predictions, write_predictions
from tfcap.metrics.scores import References, Scores, score_captions

__all__ = ["References", "Scores", "read_predictions", "score_captions", "write_predictions"]
