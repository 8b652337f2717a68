"""What is wrong with this machine, home or installation, in words, with the fix."""
