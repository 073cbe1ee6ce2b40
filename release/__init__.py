"""Makes what a release holds: the package that installs itself, the compiled template, and their checksums."""
