"""The Java VM that some model formats need: which one, the JARs on its class path, and how it is started."""
