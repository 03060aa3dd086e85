"""Painting functions in device pixels: for the screen, a picture file or a printer alike."""
