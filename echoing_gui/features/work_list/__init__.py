"""The work list: many ECGs estimated, sorted, drawn and exported."""
