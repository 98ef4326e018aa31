"""Apache Beam pipelines and their command lines."""

import logging

# Beam says so on every import where its cloud extra is not installed; local jobs do not need it.
logging.getLogger().addFilter(lambda record: "apitools not found" not in record.getMessage())
