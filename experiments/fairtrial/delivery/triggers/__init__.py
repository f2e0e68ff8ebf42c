"""What starts something: a version at the registry, an alert, an age, a time."""
