"""Retrieval: pictures for words, and pictures for a picture, over what `caption_images` wrote."""
