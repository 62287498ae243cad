"""The tests of Interlock, mirroring its packages."""
