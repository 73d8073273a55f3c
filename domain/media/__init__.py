"""Photos, documents and videos of pets: what is taken, how it is named, how far it is, and why it was refused."""
