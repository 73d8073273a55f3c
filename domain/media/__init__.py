"""Photos, documents and videos: what may be uploaded, what it is, and what is made of it. Pure rules."""
