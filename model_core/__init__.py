"""The science of the program: data types, reading, preprocessing, networks, losses, inference."""
