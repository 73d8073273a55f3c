"""Files of strangers: what they are, and the renditions that are safe to publish. Decoding happens in a child process
with limits, never in the process that asks."""
