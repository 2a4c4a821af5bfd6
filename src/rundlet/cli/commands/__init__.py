"""One module per command or small family. Each declares Command objects; the registry lists them."""
