"""Reports: self-contained HTML pages about what the pipeline made."""
