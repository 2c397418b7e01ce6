"""The schema registry: the port our code uses at start, its real client, its fake, and the rules of compatibility."""
