"""Everything around an exported captioner: loader programs in other languages."""
