"""How it is started, checked and put on a machine."""
